using System.Buffers;

namespace CoFrGeNet.Text;

/// <summary>
/// The byte-level BPE of GPT-2: 50,257 ids, of which 50256 ends a text. Ids equal those of the original encoder.json and vocab.bpe.
/// Letters, digits and white space are told apart by code point, with the Unicode tables of the running .NET.
/// </summary>
public sealed class Gpt2Tokenizer : ITokenizer
{
    internal const string TokenizerName = "gpt2";

    private static readonly Lazy<Gpt2Tokenizer> Shared = new(() => new Gpt2Tokenizer());

    private readonly BytePairTokenizer _tokenizer;

    private Gpt2Tokenizer()
    {
        var tokens = Gpt2Vocabulary.ReadTokens();
        _tokenizer = new BytePairTokenizer(new BytePairVocabulary
        {
            Tokens = tokens,
            Merges = BytePairMerges.InOrder(tokens),
            Splitters = [Gpt2Splitter.Instance],
            EveryTokenMerges = true,
            AddedTokens = [new AddedToken(SpecialTokens.EndOfText, Gpt2Vocabulary.OrdinaryTokens, IsSpecial: true)],
        });
    }

    /// <summary>The one instance; the vocabulary is read on first use and shared.</summary>
    public static Gpt2Tokenizer Instance => Shared.Value;

    internal BytePairVocabulary Vocabulary => _tokenizer.Vocabulary;

    /// <inheritdoc/>
    public string Name => TokenizerName;

    /// <inheritdoc/>
    public int VocabularySize => Gpt2Vocabulary.OrdinaryTokens + 1;

    /// <inheritdoc/>
    public int? EndOfTextId => Gpt2Vocabulary.OrdinaryTokens;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, int> SpecialTokenIds => _tokenizer.SpecialTokenIds;

    /// <inheritdoc/>
    public void Encode(ReadOnlySpan<char> text, IBufferWriter<int> destination) => _tokenizer.Encode(text, destination);

    /// <inheritdoc/>
    public int[] Encode(ReadOnlySpan<char> text) => _tokenizer.Encode(text);

    /// <inheritdoc/>
    public int CountTokens(ReadOnlySpan<char> text) => _tokenizer.CountTokens(text);

    /// <inheritdoc/>
    public ReadOnlySpan<byte> GetBytes(int id) => _tokenizer.GetBytes(id);

    /// <inheritdoc/>
    public string Decode(ReadOnlySpan<int> ids) => _tokenizer.Decode(ids);
}
