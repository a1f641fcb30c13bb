using System.Buffers;
using System.Text;

namespace CoFrGeNet.Text;

/// <summary>
/// The UTF-8 bytes of the text are its ids (0 to 255); id 256 is the end of a text. Nothing is learnt, nothing is out of vocabulary.
/// </summary>
public sealed class ByteTokenizer : ITokenizer
{
    internal const string TokenizerName = "byte";
    private const int EndOfText = 256;

    private static readonly byte[] AllBytes = [.. Enumerable.Range(0, 256).Select(b => (byte)b)];

    private ByteTokenizer()
    {
    }

    /// <summary>The one instance; it holds no state.</summary>
    public static ByteTokenizer Instance { get; } = new();

    /// <summary>The same as byte-pair encoding without a merge, for other programs.</summary>
    internal static BytePairVocabulary Vocabulary() => new()
    {
        Tokens = [.. Enumerable.Range(0, 256).Select(value => new[] { (byte)value })],
        Merges = [],
        Splitters = [],
        AddedTokens = [new AddedToken(SpecialTokens.EndOfText, 256, IsSpecial: true)],
    };

    /// <inheritdoc/>
    public string Name => TokenizerName;

    /// <inheritdoc/>
    public int VocabularySize => EndOfText + 1;

    /// <inheritdoc/>
    public int? EndOfTextId => EndOfText;

    /// <inheritdoc/>
    public void Encode(ReadOnlySpan<char> text, IBufferWriter<int> destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        Span<byte> utf8 = stackalloc byte[4];
        while (!text.IsEmpty)
        {
            var run = text.IndexOfAnyExceptInRange('\0', '\u007f');
            run = run < 0 ? text.Length : run;
            if (run > 0)
            {
                var ids = destination.GetSpan(run);
                for (var i = 0; i < run; i++)
                {
                    ids[i] = text[i];
                }

                destination.Advance(run);
                text = text[run..];
                continue;
            }

            // DecodeFromUtf16 gives U+FFFD for a lone surrogate.
            _ = Rune.DecodeFromUtf16(text, out var rune, out var consumed);
            var length = rune.EncodeToUtf8(utf8);
            var span = destination.GetSpan(length);
            for (var i = 0; i < length; i++)
            {
                span[i] = utf8[i];
            }

            destination.Advance(length);
            text = text[consumed..];
        }
    }

    /// <inheritdoc/>
    public int[] Encode(ReadOnlySpan<char> text)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(text)];
        Encoding.UTF8.GetBytes(text, bytes);
        return Array.ConvertAll(bytes, b => (int)b);
    }

    /// <inheritdoc/>
    public int CountTokens(ReadOnlySpan<char> text) => Encoding.UTF8.GetByteCount(text);

    /// <inheritdoc/>
    public ReadOnlySpan<byte> GetBytes(int id)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(id);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(id, EndOfText);
        return id == EndOfText ? SpecialTokens.EndOfTextUtf8 : AllBytes.AsSpan(id, 1);
    }

    /// <inheritdoc/>
    public string Decode(ReadOnlySpan<int> ids) => SpecialTokens.DecodeUtf8(this, ids);
}
