namespace CoFrGeNet.Text;

/// <summary>
/// Cuts text into the pieces that GPT-2 encodes one by one, as <see cref="Pattern"/> does over code points.
/// </summary>
internal sealed class Gpt2Splitter : PieceSplitter
{
    /// <summary>The pattern as tokenizer files spell it.</summary>
    public const string Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <summary>The one instance; it holds no state.</summary>
    public static Gpt2Splitter Instance { get; } = new();

    /// <summary>The length in UTF-16 units of the first piece of a text that is not empty.</summary>
    public static int FirstPiece(ReadOnlySpan<char> text)
    {
        if (text[0] == '\'' && ContractionLength(text) is var contraction and > 0)
        {
            return contraction;
        }

        var kind = CharacterKinds.At(text, 0, out var width);
        if (kind != CharacterKind.Space)
        {
            return CharacterKinds.EndOfRun(text, width, kind);
        }

        if (text[0] == ' ' && text.Length > 1)
        {
            var next = CharacterKinds.At(text, 1, out width);
            if (next != CharacterKind.Space)
            {
                return CharacterKinds.EndOfRun(text, 1 + width, next);
            }
        }

        // White space before a word leaves its last character to the word.
        var end = CharacterKinds.EndOfRun(text, 1, CharacterKind.Space);
        return end == text.Length || end == 1 ? end : end - 1;
    }

    /// <inheritdoc/>
    public override int EndOfPiece(ReadOnlySpan<char> text, int start) => start + FirstPiece(text[start..]);

    private static int ContractionLength(ReadOnlySpan<char> text) => text switch
    {
        ['\'', 's' or 't' or 'm' or 'd', ..] => 2,
        ['\'', 'r' or 'v', 'e', ..] => 3,
        ['\'', 'l', 'l', ..] => 3,
        _ => 0,
    };
}
