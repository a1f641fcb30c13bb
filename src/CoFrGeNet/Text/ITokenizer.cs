using System.Buffers;

namespace CoFrGeNet.Text;

/// <summary>
/// Turns text into token ids and back. Encoding is ordinary: no part of the text ever becomes a special token, so
/// "&lt;|endoftext|&gt;" in a text is spelled out in plain tokens. Implementations may be used by several threads at once.
/// </summary>
public interface ITokenizer
{
    /// <summary>The name that <see cref="Tokenizers.Get"/> knows, for example "gpt2".</summary>
    public string Name { get; }

    /// <summary>The number of ids: every id lies in [0, VocabularySize).</summary>
    public int VocabularySize { get; }

    /// <summary>The special token that stands between documents, or null where there is none.</summary>
    public int? EndOfTextId { get; }

    /// <summary>The special token that the model expects before a text (Llama's begin of text), or null where there is none.</summary>
    public int? BeginOfTextId => null;

    /// <summary>The special tokens by their spelling. Encoding never gives them; whoever accepts them in a text looks for them first.</summary>
    public IReadOnlyDictionary<string, int> SpecialTokenIds => EndOfTextId is { } end
        ? new Dictionary<string, int> { [SpecialTokens.EndOfText] = end }
        : System.Collections.ObjectModel.ReadOnlyDictionary<string, int>.Empty;

    /// <summary>Appends the ids of a text.</summary>
    /// <param name="text">The text; a lone surrogate is read as U+FFFD.</param>
    /// <param name="destination">Receives the ids.</param>
    public void Encode(ReadOnlySpan<char> text, IBufferWriter<int> destination);

    /// <summary>Gives the ids of a text.</summary>
    /// <param name="text">The text; a lone surrogate is read as U+FFFD.</param>
    /// <returns>The ids, empty for an empty text.</returns>
    public int[] Encode(ReadOnlySpan<char> text);

    /// <summary>Counts the ids of a text without keeping them.</summary>
    /// <param name="text">The text.</param>
    /// <returns>The length that <see cref="Encode(ReadOnlySpan{char})"/> would have.</returns>
    public int CountTokens(ReadOnlySpan<char> text);

    /// <summary>
    /// The raw bytes of a token. They need not be whole characters: to stream text, collect them with <see cref="StreamingDecoder"/>.
    /// Special tokens are spelled as in their vocabulary, for example "&lt;|endoftext|&gt;".
    /// </summary>
    /// <param name="id">A token id.</param>
    /// <returns>The bytes, at least one.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The id is not in the vocabulary.</exception>
    public ReadOnlySpan<byte> GetBytes(int id);

    /// <summary>Gives the text of ids; bytes that are not valid UTF-8 become U+FFFD.</summary>
    /// <param name="ids">Token ids.</param>
    /// <returns>The text.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An id is not in the vocabulary.</exception>
    public string Decode(ReadOnlySpan<int> ids);
}
