namespace CoFrGeNet.Text;

/// <summary>Cuts numbers from the text around them, or every digit from the next.</summary>
internal sealed class DigitSplitter : PieceSplitter
{
    private readonly bool _individual;

    /// <summary>Creates the splitter.</summary>
    /// <param name="individual">Whether every digit is a piece of its own.</param>
    public DigitSplitter(bool individual) => _individual = individual;

    /// <inheritdoc/>
    public override int EndOfPiece(ReadOnlySpan<char> text, int start)
    {
        var isNumber = CharacterKinds.At(text, start, out var width) == CharacterKind.Number;
        var end = start + width;
        while (end < text.Length && !(isNumber && _individual) && (CharacterKinds.At(text, end, out width) == CharacterKind.Number) == isNumber)
        {
            end += width;
        }

        return end;
    }
}
