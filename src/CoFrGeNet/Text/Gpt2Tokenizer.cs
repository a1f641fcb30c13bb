using System.Buffers;
using System.Text;

namespace CoFrGeNet.Text;

/// <summary>
/// The byte-level BPE of GPT-2: 50,257 ids, of which 50256 ends a text. Ids equal those of the original encoder.json and vocab.bpe.
/// Letters, digits and white space are told apart by code point, with the Unicode tables of the running .NET.
/// </summary>
public sealed class Gpt2Tokenizer : ITokenizer
{
    internal const string TokenizerName = "gpt2";

    private static readonly Lazy<Gpt2Tokenizer> Shared = new(() => new Gpt2Tokenizer());

    private readonly BytePairEncoder _encoder;

    private Gpt2Tokenizer() => _encoder = new BytePairEncoder(Gpt2Vocabulary.ReadTokens());

    /// <summary>The one instance; the vocabulary is read on first use and shared.</summary>
    public static Gpt2Tokenizer Instance => Shared.Value;

    /// <inheritdoc/>
    public string Name => TokenizerName;

    /// <inheritdoc/>
    public int VocabularySize => Gpt2Vocabulary.OrdinaryTokens + 1;

    /// <inheritdoc/>
    public int? EndOfTextId => Gpt2Vocabulary.OrdinaryTokens;

    /// <inheritdoc/>
    public void Encode(ReadOnlySpan<char> text, IBufferWriter<int> destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        Span<byte> shortPiece = stackalloc byte[BytePairEncoder.ShortPieceBytes];
        while (!text.IsEmpty)
        {
            var length = Gpt2Splitter.FirstPiece(text);
            EncodePiece(text[..length], shortPiece, destination);
            text = text[length..];
        }
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
        return id == EndOfTextId ? SpecialTokens.EndOfTextUtf8 : _encoder.GetBytes(id);
    }

    /// <inheritdoc/>
    public string Decode(ReadOnlySpan<int> ids) => SpecialTokens.DecodeUtf8(this, ids);

    private void EncodePiece(ReadOnlySpan<char> piece, Span<byte> shortPiece, IBufferWriter<int> destination)
    {
        if (Encoding.UTF8.TryGetBytes(piece, shortPiece, out var written))
        {
            _encoder.Encode(shortPiece[..written], destination);
            return;
        }

        var rented = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetByteCount(piece));
        try
        {
            _encoder.Encode(rented.AsSpan(0, Encoding.UTF8.GetBytes(piece, rented)), destination);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }
}
