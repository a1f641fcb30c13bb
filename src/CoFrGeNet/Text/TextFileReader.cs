using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace CoFrGeNet.Text;

/// <summary>
/// Reads the documents of one text file, plain, gzip or Zstandard (told by its first bytes). Strict: bytes that are no UTF-8 text are an
/// error, not question marks. CRLF becomes LF, a byte order mark is dropped.
/// </summary>
public sealed class TextFileReader : DocumentReader
{
    private const int BlockBytes = 1 << 18;

    private readonly string _name;
    private readonly string _separator;
    private readonly UnpackedFile _file;
    private readonly byte[] _bytes = new byte[BlockBytes];
    private readonly char[] _chars = new char[BlockBytes];
    private readonly StringBuilder _document = new();
    private bool _isContinuation;
    private int _lineStart;
    private int _heldBytes;
    private int _charStart;
    private int _charEnd;
    private long _offset;
    private bool _atEnd;

    /// <summary>Opens a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="separator">The line between documents; empty: the file is one document.</param>
    /// <param name="longestDocument">Longer documents are given in pieces; in characters.</param>
    /// <exception cref="UserErrorException">It cannot be opened.</exception>
    public TextFileReader(string path, string separator = SpecialTokens.EndOfText, int longestDocument = NoLimit)
        : this(UnpackedFile.Open(path), path, separator, longestDocument)
    {
    }

    /// <summary>Reads a stream that is not packed, for example standard input.</summary>
    /// <param name="stream">The stream; it is disposed with the reader.</param>
    /// <param name="name">What it is, for messages.</param>
    /// <param name="separator">The line between documents; empty: the stream is one document.</param>
    /// <param name="longestDocument">Longer documents are given in pieces; in characters.</param>
    public TextFileReader(Stream stream, string name, string separator = SpecialTokens.EndOfText, int longestDocument = NoLimit)
        : this(UnpackedFile.Of(stream, name), name, separator, longestDocument)
    {
    }

    private TextFileReader(UnpackedFile file, string name, string separator, int longestDocument)
        : base(longestDocument)
    {
        ArgumentNullException.ThrowIfNull(separator);
        _file = file;
        _name = name;
        _separator = separator;
    }

    /// <summary>Whether a separator line was seen.</summary>
    public bool HasSeparators { get; private set; }

    /// <inheritdoc/>
    public override long BytesRead => _file.BytesRead;

    /// <inheritdoc/>
    protected override string? ReadNext()
    {
        while (true)
        {
            while (_charStart < _charEnd)
            {
                var pending = _chars.AsSpan(_charStart, _charEnd - _charStart);
                var newline = pending.IndexOf('\n');
                // One more than fits tells that it is too long.
                var taken = Math.Min(newline < 0 ? pending.Length : newline + 1, LongestDocument - _document.Length + 1);
                _document.Append(pending[..taken]);
                _charStart += taken;
                if (newline >= 0 && taken == newline + 1 && EndLine() && TakeDocument() is { } document)
                {
                    return document;
                }

                if (_document.Length > LongestDocument && TakePiece() is { } piece)
                {
                    return piece;
                }
            }

            if (_atEnd)
            {
                _ = EndLine();
                return TakeDocument();
            }

            FillChars();
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing) => _file.Dispose();

    /// <summary>Ends the line that begins at <see cref="_lineStart"/>; true if it was a separator, which is then gone.</summary>
    private bool EndLine()
    {
        var end = _document.Length;
        if (end - _lineStart >= 2 && _document[end - 1] == '\n' && _document[end - 2] == '\r')
        {
            _document.Remove(end - 2, 1);
            end--;
        }

        // Trailing blanks after a separator are forgiven; 8 of them leave it a short line.
        if (_separator.Length > 0
            && end - _lineStart <= _separator.Length + 8
            && _document.ToString(_lineStart, end - _lineStart).TrimEnd() == _separator)
        {
            // The line break before the separator belongs to it.
            _document.Length = Math.Max(0, _lineStart - 1);
            HasSeparators = true;
            return true;
        }

        _lineStart = end;
        return false;
    }

    private string? TakeDocument()
    {
        var text = _document.ToString();
        _document.Clear();
        _lineStart = 0;
        WasCut = _isContinuation;
        _isContinuation = false;
        return string.IsNullOrWhiteSpace(text) ? null : text;
    }

    // Lines that are read stay whole where possible: what is taken ends with the last whole line of the second half.
    private string? TakePiece()
    {
        var length = _lineStart > LongestDocument / 2 ? Math.Min(_lineStart, LongestDocument) : LongestDocument;
        length -= length == LongestDocument && char.IsHighSurrogate(_document[length - 1]) ? 1 : 0;
        var text = _document.ToString(0, length);
        _document.Remove(0, length);
        _lineStart = Math.Max(0, _lineStart - length);
        WasCut = _isContinuation = true;
        return string.IsNullOrWhiteSpace(text) ? null : text;
    }

    private void FillChars()
    {
        var read = _file.Read(_bytes.AsSpan(_heldBytes));
        _atEnd = read == 0;
        var available = _heldBytes + read;
        var block = _bytes.AsSpan(0, available);
        var zero = block.IndexOf((byte)0);
        if (zero >= 0)
        {
            throw NotText(_offset + zero, "a zero byte");
        }

        var status = Utf8.ToUtf16(block, _chars, out var used, out var written, replaceInvalidSequences: false, isFinalBlock: _atEnd);
        if (status == OperationStatus.InvalidData)
        {
            throw NotText(_offset + used, $"byte 0x{block[used]:x2}");
        }

        _charStart = _offset == 0 && written > 0 && _chars[0] == '\uFEFF' ? 1 : 0;
        _charEnd = written;
        _heldBytes = available - used;
        block[used..].CopyTo(_bytes);
        _offset += used;
    }

    private UserErrorException NotText(long offset, string what) =>
        new($"'{_name}' is not UTF-8 text: {what} at byte {offset}{(_file.IsPacked ? " of the unpacked content" : "")}");
}
