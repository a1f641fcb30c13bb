using System.Text.Json.Serialization;

namespace CoFrGeNet.Client;

/// <summary>One prompt: a text or token ids.</summary>
/// <param name="Text">The text, or null.</param>
/// <param name="Tokens">The token ids, or null.</param>
public readonly record struct PromptItem(string? Text, IReadOnlyList<int>? Tokens);

/// <summary>The member <c>prompt</c>: a text, a list of texts, token ids, or a list of lists of token ids.</summary>
[JsonConverter(typeof(PromptInputConverter))]
public sealed class PromptInput
{
    internal PromptInput(IReadOnlyList<PromptItem> items, bool isList)
    {
        Items = items;
        IsList = isList;
    }

    /// <summary>The prompts, in their order.</summary>
    public IReadOnlyList<PromptItem> Items { get; }

    internal bool IsList { get; }

    /// <summary>One text.</summary>
    /// <param name="text">The text.</param>
    public static PromptInput Of(string text) => new([new PromptItem(text, null)], isList: false);

    /// <summary>Several texts.</summary>
    /// <param name="texts">The texts.</param>
    public static PromptInput Of(IEnumerable<string> texts) => new([.. texts.Select(text => new PromptItem(text, null))], isList: true);

    /// <summary>One prompt of token ids.</summary>
    /// <param name="tokens">The ids.</param>
    public static PromptInput OfTokens(IReadOnlyList<int> tokens) => new([new PromptItem(null, tokens)], isList: false);

    /// <summary>Several prompts of token ids.</summary>
    /// <param name="prompts">The ids of each.</param>
    public static PromptInput OfTokens(IEnumerable<IReadOnlyList<int>> prompts) => new([.. prompts.Select(tokens => new PromptItem(null, tokens))], isList: true);
}
