namespace CoFrGeNet.Text;

/// <summary>
/// Cuts text as <see cref="Pattern"/> does over code points, which Llama 3 shares with OpenAI's cl100k and, but for the number of digits
/// in a piece, with Qwen.
/// </summary>
internal sealed class Llama3Splitter : PieceSplitter
{
    /// <summary>The pattern of Llama 3 as tokenizer files spell it.</summary>
    public const string Pattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>The same with every digit a piece of its own, as Qwen has it.</summary>
    public const string SingleDigitPattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private readonly int _mostDigits;

    /// <summary>Creates the splitter.</summary>
    /// <param name="mostDigits">The most digits of a piece: 3 for <see cref="Pattern"/>, 1 for <see cref="SingleDigitPattern"/>.</param>
    public Llama3Splitter(int mostDigits) => _mostDigits = mostDigits;

    /// <inheritdoc/>
    public override int EndOfPiece(ReadOnlySpan<char> text, int start) => start + FirstPiece(text[start..]);

    private int FirstPiece(ReadOnlySpan<char> text)
    {
        var first = text[0];
        if (first == '\'' && ContractionLength(text) is var contraction and > 0)
        {
            return contraction;
        }

        var kind = CharacterKinds.At(text, 0, out var width);
        switch (kind)
        {
            case CharacterKind.Letter:
                return CharacterKinds.EndOfRun(text, width, CharacterKind.Letter);
            case CharacterKind.Number:
                return Digits(text, width);
        }

        var next = width < text.Length ? CharacterKinds.At(text, width, out _) : CharacterKind.Space;
        if (next == CharacterKind.Letter && first is not ('\r' or '\n'))
        {
            return CharacterKinds.EndOfRun(text, width, CharacterKind.Letter);
        }

        if (kind == CharacterKind.Symbol || (first == ' ' && next == CharacterKind.Symbol))
        {
            var end = CharacterKinds.EndOfRun(text, width, CharacterKind.Symbol);
            var lines = text[end..].IndexOfAnyExcept('\r', '\n');
            return lines < 0 ? text.Length : end + lines;
        }

        return WhiteSpace(text);
    }

    private int Digits(ReadOnlySpan<char> text, int end)
    {
        for (var digits = 1; digits < _mostDigits && end < text.Length; digits++)
        {
            if (CharacterKinds.At(text, end, out var width) != CharacterKind.Number)
            {
                break;
            }

            end += width;
        }

        return end;
    }

    // Up to the last line break of the run; without one, all but the last character, which goes to the word after it.
    private static int WhiteSpace(ReadOnlySpan<char> text)
    {
        var end = CharacterKinds.EndOfRun(text, 1, CharacterKind.Space);
        var lineBreak = text[..end].LastIndexOfAny('\r', '\n');
        return lineBreak >= 0 ? lineBreak + 1 : end == text.Length || end == 1 ? end : end - 1;
    }

    // The long s is an s to a pattern that ignores case.
    private static int ContractionLength(ReadOnlySpan<char> text) => text switch
    {
        ['\'', 's' or 'S' or 't' or 'T' or 'm' or 'M' or 'd' or 'D' or '\u017f', ..] => 2,
        ['\'', 'r' or 'R' or 'v' or 'V', 'e' or 'E', ..] => 3,
        ['\'', 'l' or 'L', 'l' or 'L', ..] => 3,
        _ => 0,
    };
}
