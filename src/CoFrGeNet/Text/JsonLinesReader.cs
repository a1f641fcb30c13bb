using System.Text.Json;

namespace CoFrGeNet.Text;

/// <summary>
/// Reads a text from each line of a file of JSON lines, plain, gzip or Zstandard. A line that is no JSON object or has no such text is skipped and reported,
/// since large corpora have a few of them.
/// </summary>
public sealed class JsonLinesReader : DocumentReader
{
    private const int LongestLine = 1 << 29;

    private readonly string _name;
    private readonly string _field;
    private readonly UnpackedFile _file;
    private byte[] _buffer = new byte[1 << 18];
    private int _start;
    private int _end;
    private long _line;
    private bool _atEnd;

    /// <summary>Opens a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="field">The member that holds the text.</param>
    /// <param name="longestDocument">Longer documents are given in pieces; in characters.</param>
    /// <exception cref="UserErrorException">It cannot be opened.</exception>
    public JsonLinesReader(string path, string field, int longestDocument = NoLimit)
        : this(UnpackedFile.Open(path), path, field, longestDocument)
    {
    }

    /// <summary>Reads a stream that is not packed, for example standard input.</summary>
    /// <param name="stream">The stream; it is disposed with the reader.</param>
    /// <param name="name">What it is, for messages.</param>
    /// <param name="field">The member that holds the text.</param>
    /// <param name="longestDocument">Longer documents are given in pieces; in characters.</param>
    public JsonLinesReader(Stream stream, string name, string field, int longestDocument = NoLimit)
        : this(UnpackedFile.Of(stream, name), name, field, longestDocument)
    {
    }

    private JsonLinesReader(UnpackedFile file, string name, string field, int longestDocument)
        : base(longestDocument)
    {
        _file = file;
        _name = name;
        _field = field;
    }

    /// <inheritdoc/>
    public override long BytesRead => _file.BytesRead;

    /// <inheritdoc/>
    protected override string? ReadNext()
    {
        WasCut = false;
        while (NextLine(out var line))
        {
            _line++;
            if (line.Trim(" \t\r"u8).IsEmpty)
            {
                continue;
            }

            var (text, reason) = TextOf(line);
            if (text is not null)
            {
                return text;
            }

            Skipped?.Invoke(reason, $"{_name}, line {_line}");
        }

        return null;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing) => _file.Dispose();

    private (string? Text, string Reason) TextOf(ReadOnlySpan<byte> line)
    {
        try
        {
            var json = new Utf8JsonReader(line.StartsWith("\uFEFF"u8) ? line[3..] : line);
            if (!json.Read() || json.TokenType != JsonTokenType.StartObject)
            {
                return (null, "no JSON object");
            }

            string? text = null;
            var reason = $"no member '{_field}'";
            while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
            {
                var isField = json.ValueTextEquals(_field);
                json.Read();
                if (isField)
                {
                    text = json.TokenType == JsonTokenType.String ? json.GetString() : null;
                    reason = json.TokenType == JsonTokenType.String ? "empty text" : $"member '{_field}' is no text";
                }
                else
                {
                    json.Skip();
                }
            }

            // What follows the object is part of the line.
            while (json.Read())
            {
            }

            return string.IsNullOrWhiteSpace(text) ? (null, reason) : (text.Replace("\r\n", "\n", StringComparison.Ordinal), reason);
        }
        catch (JsonException)
        {
            return (null, "not valid JSON");
        }
        catch (InvalidOperationException)
        {
            // GetString on bytes that are no UTF-8 or on half of a surrogate pair.
            return (null, "not valid Unicode");
        }
    }

    private bool NextLine(out ReadOnlySpan<byte> line)
    {
        var searched = 0;
        while (true)
        {
            var newline = _buffer.AsSpan(_start + searched, _end - _start - searched).IndexOf((byte)'\n');
            if (newline >= 0)
            {
                line = _buffer.AsSpan(_start, searched + newline);
                _start += searched + newline + 1;
                return true;
            }

            if (_atEnd)
            {
                line = _buffer.AsSpan(_start, _end - _start);
                _start = _end;
                return !line.IsEmpty;
            }

            searched = _end - _start;
            Fill();
        }
    }

    private void Fill()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        if (_end == _buffer.Length)
        {
            if (_buffer.Length >= LongestLine)
            {
                throw new UserErrorException($"{_name}, line {_line + 1} is longer than {LongestLine} bytes; it is no file of JSON lines");
            }

            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        var read = _file.Read(_buffer.AsSpan(_end));
        _end += read;
        _atEnd = read == 0;
    }
}
