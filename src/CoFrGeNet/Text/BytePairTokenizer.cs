using System.Buffers;
using System.Text;

namespace CoFrGeNet.Text;

/// <summary>A byte-level BPE tokenizer from a file: of Hugging Face, of GPT-2's form, or of tiktoken's. Get one from <see cref="Tokenizers.Get"/>.</summary>
public sealed class BytePairTokenizer : ITokenizer
{
    private static readonly string[] EndNames = [SpecialTokens.EndOfText, "<|end_of_text|>", "</s>", "<eos>", "<|eot_id|>", "<|im_end|>"];
    private static readonly string[] BeginNames = ["<|begin_of_text|>", "<s>", "<bos>"];
    private static readonly byte[] Replacement = [0xEF, 0xBF, 0xBD];

    private readonly BytePairVocabulary _vocabulary;
    private readonly BytePairEncoder _encoder;
    private readonly byte[][] _bytes;
    private readonly AddedTokenMatcher? _ordinaryAdded;

    internal BytePairTokenizer(BytePairVocabulary vocabulary)
    {
        _vocabulary = vocabulary;
        var added = vocabulary.AddedTokens;
        VocabularySize = Math.Max(vocabulary.Tokens.Length, added.Count == 0 ? 0 : added.Max(token => token.Id) + 1);
        _bytes = new byte[VocabularySize][];
        for (var id = 0; id < VocabularySize; id++)
        {
            // Gaps between ids are no tokens; a model may name them all the same.
            _bytes[id] = id < vocabulary.Tokens.Length && vocabulary.Tokens[id] is { Length: > 0 } bytes ? bytes : Replacement;
        }

        foreach (var token in added)
        {
            _bytes[token.Id] = Encoding.UTF8.GetBytes(token.Content);
        }

        // An added token is found by its spelling only.
        var mergeable = vocabulary.Tokens.ToArray();
        foreach (var token in added.Where(token => token.Id < mergeable.Length))
        {
            mergeable[token.Id] = null;
        }

        _encoder = new BytePairEncoder(mergeable, vocabulary.Merges, vocabulary.Splitters, vocabulary.IgnoreMerges || vocabulary.EveryTokenMerges, vocabulary.UnknownId);
        var ordinary = added.Where(token => !token.IsSpecial).ToArray();
        _ordinaryAdded = ordinary.Length == 0 ? null : new AddedTokenMatcher(ordinary);
        SpecialTokenIds = added.Where(token => token.IsSpecial).ToDictionary(token => token.Content, token => token.Id, StringComparer.Ordinal);
        EndOfTextId = vocabulary.EndOfTextId ?? FindSpecial(EndNames);
        BeginOfTextId = vocabulary.BeginOfTextId ?? FindSpecial(BeginNames);
    }

    /// <summary>The name of the file that keeps the tokenizer in a model folder, for example <c>tokenizer.json</c>.</summary>
    public string Name => _vocabulary.Name;

    /// <inheritdoc/>
    public int VocabularySize { get; }

    /// <inheritdoc/>
    public int? EndOfTextId { get; }

    /// <inheritdoc/>
    public int? BeginOfTextId { get; }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, int> SpecialTokenIds { get; }

    internal BytePairVocabulary Vocabulary => _vocabulary;

    /// <inheritdoc/>
    public void Encode(ReadOnlySpan<char> text, IBufferWriter<int> destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        var buffer = new TokenBuffer(destination);
        while (_ordinaryAdded is not null && _ordinaryAdded.Find(text, out var index) is { } token)
        {
            EncodeOrdinary(text[..index], ref buffer);
            buffer.Add(token.Id);
            text = text[(index + token.Content.Length)..];
        }

        EncodeOrdinary(text, ref buffer);
        buffer.Flush();
    }

    /// <inheritdoc/>
    public int[] Encode(ReadOnlySpan<char> text)
    {
        var ids = new ArrayBufferWriter<int>(Math.Max(16, text.Length / 4));
        Encode(text, ids);
        return ids.WrittenSpan.ToArray();
    }

    /// <inheritdoc/>
    public int CountTokens(ReadOnlySpan<char> text)
    {
        var counter = new CountingWriter();
        Encode(text, counter);
        return counter.Count;
    }

    /// <inheritdoc/>
    public ReadOnlySpan<byte> GetBytes(int id)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(id);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(id, VocabularySize);
        return _bytes[id];
    }

    /// <inheritdoc/>
    public string Decode(ReadOnlySpan<int> ids) => SpecialTokens.DecodeUtf8(this, ids);

    private void EncodeOrdinary(ReadOnlySpan<char> text, ref TokenBuffer buffer)
    {
        if (_vocabulary.AddPrefixSpace && !text.IsEmpty && text[0] != ' ')
        {
            _encoder.Encode(string.Concat(" ", text), ref buffer);
            return;
        }

        _encoder.Encode(text, ref buffer);
    }

    private int? FindSpecial(string[] names)
    {
        foreach (var name in names)
        {
            if (SpecialTokenIds.TryGetValue(name, out var id))
            {
                return id;
            }
        }

        return null;
    }
}
