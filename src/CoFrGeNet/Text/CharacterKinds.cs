using System.Globalization;
using System.Text;

namespace CoFrGeNet.Text;

/// <summary>What the patterns that cut text into pieces tell apart.</summary>
internal enum CharacterKind : byte
{
    /// <summary>Anything else: <c>[^\s\p{L}\p{N}]</c>.</summary>
    Symbol,

    /// <summary><c>\p{L}</c>.</summary>
    Letter,

    /// <summary><c>\p{N}</c>.</summary>
    Number,

    /// <summary><c>\s</c>; all white space is one UTF-16 unit wide.</summary>
    Space,
}

/// <summary>Classifies characters by code point, with the Unicode tables of the running .NET.</summary>
internal static class CharacterKinds
{
    // One byte a UTF-16 unit: text is classified letter by letter, and this is what splitting costs.
    private static readonly CharacterKind[] Units = [.. Enumerable.Range(0, 0x10000).Select(c => char.IsSurrogate((char)c) ? CharacterKind.Symbol : Classify(new Rune(c)))];

    /// <summary>The kind of the character at an index and its width in UTF-16 units; a lone surrogate is a symbol.</summary>
    public static CharacterKind At(ReadOnlySpan<char> text, int index, out int width)
    {
        var c = text[index];
        width = 1;
        return char.IsHighSurrogate(c) ? OfPair(text, index, out width) : Units[c];
    }

    /// <summary>The end of the run of characters of a kind that begins before <paramref name="index"/>.</summary>
    public static int EndOfRun(ReadOnlySpan<char> text, int index, CharacterKind kind)
    {
        while (index < text.Length && At(text, index, out var width) == kind)
        {
            index += width;
        }

        return index;
    }

    private static CharacterKind OfPair(ReadOnlySpan<char> text, int index, out int width)
    {
        _ = Rune.DecodeFromUtf16(text[index..], out var rune, out width);
        return Classify(rune);
    }

    private static CharacterKind Classify(Rune rune) => Rune.IsWhiteSpace(rune) ? CharacterKind.Space : Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
            or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter => CharacterKind.Letter,
        UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => CharacterKind.Number,
        _ => CharacterKind.Symbol,
    };
}
