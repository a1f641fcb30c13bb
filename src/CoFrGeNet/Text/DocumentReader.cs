namespace CoFrGeNet.Text;

/// <summary>Reads the documents of one file, one after the other. Not for several threads.</summary>
public abstract class DocumentReader : IDisposable
{
    /// <summary>Documents of any length: as long as a string can be.</summary>
    public const int NoLimit = 1 << 30;

    private string? _rest;
    private int _restStart;

    /// <summary>Begins to read.</summary>
    /// <param name="longestDocument">Longer documents are given in pieces; in characters.</param>
    protected DocumentReader(int longestDocument)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(longestDocument, 2);
        LongestDocument = longestDocument;
    }

    /// <summary>Whether the last document is a piece of one that was too long.</summary>
    public bool WasCut { get; protected set; }

    /// <summary>Bytes of the file read so far, as they lie on the disk; 0 where nobody knows.</summary>
    public virtual long BytesRead => 0;

    /// <summary>Hears of what was skipped: the reason, and where.</summary>
    public Action<string, string>? Skipped { get; init; }

    /// <summary>Longer documents are given in pieces; in characters.</summary>
    protected int LongestDocument { get; }

    /// <summary>Reads a document.</summary>
    /// <returns>Its text, which holds more than white space; null at the end.</returns>
    /// <exception cref="UserErrorException">The file is damaged or not of the kind expected.</exception>
    public string? ReadDocument()
    {
        while (true)
        {
            if (_rest is null)
            {
                if (ReadNext() is not { } text)
                {
                    return null;
                }

                if (text.Length <= LongestDocument)
                {
                    return text;
                }

                _rest = text;
                _restStart = 0;
            }

            var left = _rest.AsSpan(_restStart);
            var piece = left[..PieceLength(left, LongestDocument)];
            _restStart += piece.Length;
            _rest = _restStart < _rest.Length ? _rest : null;
            if (!piece.IsWhiteSpace())
            {
                WasCut = true;
                return piece.ToString();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Reads the next document and sets <see cref="WasCut"/>.</summary>
    /// <returns>Its text, which holds more than white space; null at the end.</returns>
    protected abstract string? ReadNext();

    /// <summary>Frees the file.</summary>
    /// <param name="disposing">Always true.</param>
    protected abstract void Dispose(bool disposing);

    /// <summary>How much of a text that is too long makes the next piece: up to a line end in the second half, or else a whole character.</summary>
    /// <param name="text">The text.</param>
    /// <param name="longest">The most characters of a piece.</param>
    protected static int PieceLength(ReadOnlySpan<char> text, int longest)
    {
        if (text.Length <= longest)
        {
            return text.Length;
        }

        var line = text[(longest / 2)..longest].LastIndexOf('\n');
        return line >= 0 ? (longest / 2) + line + 1 : char.IsHighSurrogate(text[longest - 1]) ? longest - 1 : longest;
    }
}
