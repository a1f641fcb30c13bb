using System.Buffers;
using System.IO.Compression;
using System.Text;
using System.Text.Unicode;

namespace CoFrGeNet.Text;

/// <summary>
/// Reads the documents of one text file, plain or gzip (told by its first bytes). Strict: bytes that are no UTF-8 text are an
/// error, not question marks. CRLF becomes LF, a byte order mark is dropped.
/// </summary>
internal sealed class TextFileReader : IDisposable
{
    private const int BlockBytes = 1 << 18;

    private readonly string _path;
    private readonly Stream _stream;
    private readonly GzipCheck? _gzip;
    private readonly byte[] _bytes = new byte[BlockBytes];
    private readonly char[] _chars = new char[BlockBytes];
    private readonly StringBuilder _document = new();
    private int _lineStart;
    private int _heldBytes;
    private int _charStart;
    private int _charEnd;
    private long _offset;
    private bool _atEnd;

    /// <summary>Opens a file.</summary>
    /// <exception cref="UserErrorException">It cannot be opened.</exception>
    public TextFileReader(string path)
    {
        _path = path;
        try
        {
            _stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            Span<byte> magic = stackalloc byte[2];
            var isGzip = _stream.ReadAtLeast(magic, 2, throwOnEndOfStream: false) == 2 && magic is [0x1f, 0x8b];
            _stream.Position = 0;
            if (isGzip)
            {
                _gzip = new GzipCheck(path);
                _stream = new GZipStream(_stream, CompressionMode.Decompress);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"cannot read '{path}': {e.Message}", e);
        }
    }

    /// <summary>Whether a separator line was seen.</summary>
    public bool HasSeparators { get; private set; }

    /// <summary>The text of the next document that holds more than white space, or null at the end.</summary>
    /// <exception cref="UserErrorException">The file is not UTF-8 text or is damaged.</exception>
    public string? ReadDocument()
    {
        while (true)
        {
            while (_charStart < _charEnd)
            {
                var pending = _chars.AsSpan(_charStart, _charEnd - _charStart);
                var newline = pending.IndexOf('\n');
                var taken = newline < 0 ? pending.Length : newline + 1;
                _document.Append(pending[..taken]);
                _charStart += taken;
                if (newline >= 0 && EndLine() && TakeDocument() is { } document)
                {
                    return document;
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
    public void Dispose() => _stream.Dispose();

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
        if (end - _lineStart <= SpecialTokens.EndOfText.Length + 8
            && _document.ToString(_lineStart, end - _lineStart).TrimEnd() == SpecialTokens.EndOfText)
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
        return string.IsNullOrWhiteSpace(text) ? null : text;
    }

    private void FillChars()
    {
        var read = ReadBlock();
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

    private int ReadBlock()
    {
        try
        {
            var read = _stream.Read(_bytes, _heldBytes, _bytes.Length - _heldBytes);
            if (read == 0)
            {
                _gzip?.VerifyEnd();
            }

            _gzip?.Count(read);
            return read;
        }
        catch (InvalidDataException e)
        {
            throw new UserErrorException($"'{_path}' is not a whole gzip file: {e.Message}", e);
        }
        catch (IOException e)
        {
            throw new UserErrorException($"cannot read '{_path}': {e.Message}", e);
        }
    }

    private UserErrorException NotText(long offset, string what) =>
        new($"'{_path}' is not UTF-8 text: {what} at byte {offset}{(_gzip is null ? "" : " of the unpacked content")}");
}
