using System.Buffers;

namespace CoFrGeNet.Text;

/// <summary>Finds tokens by their spelling: the leftmost, and of several that begin there the longest.</summary>
internal sealed class AddedTokenMatcher
{
    private readonly AddedToken[] _longestFirst;
    private readonly SearchValues<string> _spellings;

    /// <summary>Indexes the tokens; none may be empty.</summary>
    public AddedTokenMatcher(IEnumerable<AddedToken> tokens)
    {
        _longestFirst = [.. tokens.OrderByDescending(token => token.Content.Length)];
        _spellings = SearchValues.Create([.. _longestFirst.Select(token => token.Content)], StringComparison.Ordinal);
    }

    /// <summary>Finds the first token in a text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="index">Where the token begins.</param>
    /// <returns>The token, or null.</returns>
    public AddedToken? Find(ReadOnlySpan<char> text, out int index)
    {
        index = text.IndexOfAny(_spellings);
        if (index < 0)
        {
            return null;
        }

        foreach (var token in _longestFirst)
        {
            if (text[index..].StartsWith(token.Content, StringComparison.Ordinal))
            {
                return token;
            }
        }

        return null;
    }
}
