using System.Text;

namespace CoFrGeNet.Text;

/// <summary>
/// Turns a stream of token ids into text as it arrives, holding back the bytes of a character until it is complete.
/// The pieces joined equal <see cref="ITokenizer.Decode"/> of all ids. Not for several threads at once.
/// </summary>
public sealed class StreamingDecoder
{
    private readonly ITokenizer _tokenizer;
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();

    /// <summary>Starts an empty stream.</summary>
    /// <param name="tokenizer">Gives the bytes of the ids.</param>
    public StreamingDecoder(ITokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        _tokenizer = tokenizer;
    }

    /// <summary>Takes the next id.</summary>
    /// <param name="id">A token id.</param>
    /// <returns>The text that is complete now; empty while a character lacks bytes.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The id is not in the vocabulary.</exception>
    public string Append(int id) => Convert(_tokenizer.GetBytes(id), flush: false);

    /// <summary>Ends the text and makes the stream ready for another one.</summary>
    /// <returns>U+FFFD for a character that never became complete, otherwise empty.</returns>
    public string Flush() => Convert([], flush: true);

    private string Convert(ReadOnlySpan<byte> bytes, bool flush)
    {
        // One byte can end a bad sequence (U+FFFD) and start nothing; 4 covers what the decoder held back.
        Span<char> chars = bytes.Length <= 60 ? stackalloc char[64] : new char[bytes.Length + 4];
        var count = _decoder.GetChars(bytes, chars, flush);
        return count == 0 ? string.Empty : new string(chars[..count]);
    }
}
