using System.Text;
using CoFrGeNet.Text;

namespace CoFrGeNet.Generation;

/// <summary>Turns prompts into the ids that a model starts from. May be used by several threads at once.</summary>
public sealed class PromptEncoder
{
    private readonly ITokenizer _tokenizer;
    private readonly int _contextLength;
    private readonly AddedTokenMatcher? _special;

    /// <summary>Joins a tokenizer and the length of a context.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="contextLength">Most tokens that a prompt may have.</param>
    public PromptEncoder(ITokenizer tokenizer, int contextLength)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        _tokenizer = tokenizer;
        _contextLength = contextLength;
        var special = tokenizer.SpecialTokenIds;
        _special = special.Count == 0 ? null : new AddedTokenMatcher(special.Select(token => new AddedToken(token.Key, token.Value, IsSpecial: true)));
    }

    /// <summary>Encodes a prompt to be continued.</summary>
    /// <param name="prompt">
    /// The text; the begin-of-text token comes before it where the tokenizer has one. Without one an empty text becomes the end-of-text token, after which a new text starts.
    /// No part of the text becomes a special token.
    /// </param>
    /// <exception cref="UserErrorException">The prompt is longer than the context, or empty where there is no end-of-text token.</exception>
    public int[] Encode(string prompt) => Check(Complete(_tokenizer.Encode(prompt)));

    /// <summary>Encodes a prompt of several parts, for example a template with what people typed. Tokens may span parts.</summary>
    /// <param name="parts">The parts in order; the begin-of-text token comes before them where the tokenizer has one and they do not start with it.</param>
    /// <exception cref="UserErrorException">The prompt is longer than the context, or empty where there is no end-of-text token.</exception>
    public int[] Encode(IEnumerable<PromptPart> parts)
    {
        var ids = Join(parts);
        return Check(ids is [var first, ..] && first == _tokenizer.BeginOfTextId ? ids : Complete(ids));
    }

    /// <summary>The ids of a text in which special tokens are spelled out, and nothing before them.</summary>
    /// <param name="text">A text of any length.</param>
    public int[] Marked(string text) => Join([new PromptPart(text, IsMarked: true)]);

    /// <summary>Checks ids that come from elsewhere.</summary>
    /// <param name="ids">The prompt's token ids.</param>
    /// <returns>The same.</returns>
    /// <exception cref="UserErrorException">There is none, there are more than the context holds, or one is not in the vocabulary.</exception>
    public int[] Check(int[] ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        if (ids.Length == 0)
        {
            throw new UserErrorException("The prompt has no token; give one or more.");
        }

        if (ids.Length > _contextLength)
        {
            throw new UserErrorException($"The prompt has {ids.Length} tokens; this model's context holds {_contextLength}. Shorten the prompt by {ids.Length - _contextLength} tokens.");
        }

        var stranger = Array.FindIndex(ids, id => id < 0 || id >= _tokenizer.VocabularySize);
        return stranger < 0
            ? ids
            : throw new UserErrorException($"Token {stranger} of the prompt is {ids[stranger]}; allowed are ids from 0 to {_tokenizer.VocabularySize - 1}.");
    }

    private int[] Join(IEnumerable<PromptPart> parts)
    {
        ArgumentNullException.ThrowIfNull(parts);
        var ids = new List<int>();
        var plain = new StringBuilder();
        foreach (var part in parts)
        {
            var rest = part.Text.AsSpan();
            while (part.IsMarked && _special?.Find(rest, out var index) is { } token)
            {
                plain.Append(rest[..index]);
                ids.AddRange(_tokenizer.Encode(plain.ToString()));
                plain.Clear();
                ids.Add(token.Id);
                rest = rest[(index + token.Content.Length)..];
            }

            plain.Append(rest);
        }

        ids.AddRange(_tokenizer.Encode(plain.ToString()));
        return [.. ids];
    }

    private int[] Complete(int[] ids) => _tokenizer.BeginOfTextId is { } begin ? [begin, .. ids]
        : ids.Length > 0 ? ids
        : [_tokenizer.EndOfTextId ?? throw new UserErrorException($"The prompt is empty and the tokenizer '{_tokenizer.Name}' has no end-of-text token to start from; give a prompt.")];
}
