using System.Text.RegularExpressions;

namespace CoFrGeNet.Text;

/// <summary>
/// Cuts text at the matches of a pattern: each match is a piece, and so is what lies between two. .NET matches UTF-16 units, so a letter outside
/// the basic plane counts as a symbol here; the patterns of GPT-2 and Llama 3 have splitters of their own.
/// </summary>
internal sealed class RegexSplitter : PieceSplitter
{
    private readonly Regex _regex;

    /// <summary>Creates the splitter.</summary>
    /// <param name="pattern">The pattern.</param>
    /// <exception cref="ArgumentException">.NET does not understand the pattern.</exception>
    public RegexSplitter(string pattern) => _regex = new Regex(pattern, RegexOptions.CultureInvariant);

    /// <inheritdoc/>
    public override int EndOfPiece(ReadOnlySpan<char> text, int start)
    {
        foreach (var match in _regex.EnumerateMatches(text, start))
        {
            if (match.Length > 0)
            {
                return match.Index > start ? match.Index : match.Index + match.Length;
            }
        }

        return text.Length;
    }
}
