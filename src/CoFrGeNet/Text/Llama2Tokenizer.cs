using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace CoFrGeNet.Text;

/// <summary>
/// The SentencePiece BPE of Llama 2 from llama2.c's export (tokenizer.bin): tokens with scores, of which the pair with the best score is joined first; what has no
/// token is spelled in byte tokens. A space is put before every text, as the models were trained with, so decoding gives that space back.
/// </summary>
public sealed class Llama2Tokenizer : ITokenizer
{
    private const int BeginId = 1;
    private const int EndId = 2;
    private const int FirstOrdinaryId = 3;

    private readonly byte[][] _bytes;
    private readonly int[] _byteIds = new int[256];
    private readonly TokenLookup _lookup;
    private readonly BytePairMerger _merger;
    private readonly bool _cutsAtSpaces;

    internal Llama2Tokenizer(byte[] content, string source)
    {
        File = content;
        var entries = Parse(content) ?? throw new UserErrorException($"{source} is not a whole tokenizer.bin of llama2.c");
        _bytes = [.. entries.Select(entry => entry.Bytes)];
        Array.Fill(_byteIds, -1);
        var mergeable = _bytes.ToArray<byte[]?>();
        for (var id = 0; id < _bytes.Length; id++)
        {
            if (id < FirstOrdinaryId || ByteOf(_bytes[id]) is not null)
            {
                mergeable[id] = null;
            }

            if (ByteOf(_bytes[id]) is { } raw)
            {
                _bytes[id] = [raw];
                _byteIds[raw] = id;
            }
        }

        if (_byteIds.Contains(-1))
        {
            throw new UserErrorException($"{source} lacks tokens for single bytes, so it is not a tokenizer.bin of llama2.c");
        }

        _lookup = new TokenLookup(mergeable);
        var order = new int[_bytes.Length];
        foreach (var (id, rank) in Enumerable.Range(0, _bytes.Length).OrderByDescending(id => entries[id].Score).ThenBy(id => id).Select((id, rank) => (id, rank)))
        {
            order[id] = rank;
        }

        var merges = BytePairMerges.AllSplits(mergeable);
        _merger = new BytePairMerger(mergeable, unknownId: null, merges.Count, _bytes.Length);
        merges.ForEach(merge => _merger.Add(merge with { Rank = order[merge.Merged] }));
        // True for every vocabulary trained on words: then text is encoded word by word.
        _cutsAtSpaces = !mergeable.Any(token => token is not null && token.Zip(token.Skip(1)).Any(pair => pair.First != (byte)' ' && pair.Second == (byte)' '));
    }

    /// <summary>The name of the file that keeps the tokenizer in a model folder.</summary>
    public string Name => TokenizerFiles.Llama2CFile;

    /// <inheritdoc/>
    public int VocabularySize => _bytes.Length;

    /// <inheritdoc/>
    public int? EndOfTextId => EndId;

    /// <inheritdoc/>
    public int? BeginOfTextId => BeginId;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, int> SpecialTokenIds { get; } = new Dictionary<string, int> { ["<s>"] = BeginId, ["</s>"] = EndId };

    internal byte[] File { get; }

    /// <inheritdoc/>
    public void Encode(ReadOnlySpan<char> text, IBufferWriter<int> destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        if (text.IsEmpty)
        {
            return;
        }

        var spaced = string.Concat(" ", text).AsSpan();
        while (!spaced.IsEmpty)
        {
            var word = spaced[..EndOfWord(spaced)];
            EncodeWord(word, destination);
            spaced = spaced[word.Length..];
        }
    }

    /// <inheritdoc/>
    public int[] Encode(ReadOnlySpan<char> text)
    {
        var ids = new ArrayBufferWriter<int>(Math.Max(16, text.Length / 3));
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
        return id switch
        {
            0 => "<unk>"u8,
            BeginId => "<s>"u8,
            EndId => "</s>"u8,
            _ => _bytes[id],
        };
    }

    /// <inheritdoc/>
    public string Decode(ReadOnlySpan<int> ids) => SpecialTokens.DecodeUtf8(this, ids);

    /// <summary>Whether a file is such an export.</summary>
    internal static bool IsExport(byte[] content) => Parse(content) is { } entries && entries.Count > FirstOrdinaryId + 256 - 1;

    private static List<(float Score, byte[] Bytes)>? Parse(ReadOnlySpan<byte> content)
    {
        if (content.Length < 4)
        {
            return null;
        }

        var longest = BinaryPrimitives.ReadInt32LittleEndian(content);
        var entries = new List<(float, byte[])>();
        for (content = content[4..]; !content.IsEmpty;)
        {
            if (content.Length < 8 || BinaryPrimitives.ReadInt32LittleEndian(content[4..]) is var length && (length < 0 || length > content.Length - 8 || length > longest))
            {
                return null;
            }

            entries.Add((BinaryPrimitives.ReadSingleLittleEndian(content), content.Slice(8, length).ToArray()));
            content = content[(8 + length)..];
        }

        return entries;
    }

    // Byte tokens are spelled <0x41>.
    private static byte? ByteOf(ReadOnlySpan<byte> token) =>
        token.Length == 6 && token.StartsWith("<0x"u8) && token[5] == (byte)'>'
            && byte.TryParse(Encoding.ASCII.GetString(token[3..5]), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) ? value : null;

    private int EndOfWord(ReadOnlySpan<char> text)
    {
        if (!_cutsAtSpaces)
        {
            return text.Length;
        }

        var letters = text.IndexOfAnyExcept(' ');
        var end = letters < 0 ? -1 : text[letters..].IndexOf(' ');
        return end < 0 ? text.Length : letters + end;
    }

    private void EncodeWord(ReadOnlySpan<char> word, IBufferWriter<int> destination)
    {
        var ids = destination.GetSpan(Encoding.UTF8.GetByteCount(word));
        var count = 0;
        Span<byte> utf8 = stackalloc byte[4];
        foreach (var rune in word.EnumerateRunes())
        {
            var bytes = utf8[..rune.EncodeToUtf8(utf8)];
            var id = _lookup.Find(bytes);
            if (id >= 0)
            {
                ids[count++] = id;
                continue;
            }

            foreach (var raw in bytes)
            {
                ids[count++] = _byteIds[raw];
            }
        }

        destination.Advance(_merger.Merge(ids[..count]));
    }
}
