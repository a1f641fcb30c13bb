using System.Globalization;
using System.Text;

namespace CoFrGeNet.Text;

/// <summary>
/// Cuts text into the pieces that GPT-2 encodes one by one, as the pattern
/// <c>'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+</c> does over code points.
/// </summary>
internal static class Gpt2Splitter
{
    private enum Kind : byte
    {
        Symbol,
        Letter,
        Number,
        Space,
    }

    private static readonly Kind[] AsciiKinds = [.. Enumerable.Range(0, 128).Select(c => Classify(new Rune(c)))];

    /// <summary>The length in UTF-16 units of the first piece of a text that is not empty.</summary>
    public static int FirstPiece(ReadOnlySpan<char> text)
    {
        if (text[0] == '\'' && ContractionLength(text) is var contraction and > 0)
        {
            return contraction;
        }

        var kind = KindAt(text, 0, out var width);
        if (kind != Kind.Space)
        {
            return EndOfRun(text, width, kind);
        }

        if (text[0] == ' ' && text.Length > 1)
        {
            var next = KindAt(text, 1, out width);
            if (next != Kind.Space)
            {
                return EndOfRun(text, 1 + width, next);
            }
        }

        // White space before a word leaves its last character to the word; all white space is one UTF-16 unit wide.
        var end = EndOfRun(text, width: 1, Kind.Space);
        return end == text.Length || end == 1 ? end : end - 1;
    }

    private static int ContractionLength(ReadOnlySpan<char> text) => text switch
    {
        ['\'', 's' or 't' or 'm' or 'd', ..] => 2,
        ['\'', 'r' or 'v', 'e', ..] => 3,
        ['\'', 'l', 'l', ..] => 3,
        _ => 0,
    };

    private static int EndOfRun(ReadOnlySpan<char> text, int width, Kind kind)
    {
        var end = width;
        while (end < text.Length && KindAt(text, end, out width) == kind)
        {
            end += width;
        }

        return end;
    }

    private static Kind KindAt(ReadOnlySpan<char> text, int index, out int width)
    {
        var c = text[index];
        if (c < 128)
        {
            width = 1;
            return AsciiKinds[c];
        }

        _ = Rune.DecodeFromUtf16(text[index..], out var rune, out width);
        return Classify(rune);
    }

    private static Kind Classify(Rune rune) => Rune.IsWhiteSpace(rune) ? Kind.Space : Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
            or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter => Kind.Letter,
        UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Kind.Number,
        _ => Kind.Symbol,
    };
}
