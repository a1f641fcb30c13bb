using System.Text.Json.Serialization;

namespace CoFrGeNet.Client;

/// <summary>The answer of <c>POST /v1/completions</c>, and one chunk of its stream.</summary>
public sealed record CompletionResponse
{
    /// <summary>Names the request: <c>cmpl-..</c>.</summary>
    public required string Id { get; init; }

    /// <summary>Always <c>text_completion</c>.</summary>
    public string Object { get; init; } = "text_completion";

    /// <summary>When the request came, in seconds since 1970.</summary>
    public required long Created { get; init; }

    /// <summary>The model's name.</summary>
    public required string Model { get; init; }

    /// <summary>The choices; their <see cref="CompletionChoice.Index"/> is the prompt's number times n, plus the sample's.</summary>
    public required IReadOnlyList<CompletionChoice> Choices { get; init; }

    /// <summary>What was computed; in a stream in its own chunk, if asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Usage? Usage { get; init; }
}

/// <summary>One continuation.</summary>
public sealed record CompletionChoice
{
    /// <summary>The prompt's number times n, plus the sample's.</summary>
    public required int Index { get; init; }

    /// <summary>The text, or the next piece of it.</summary>
    public required string Text { get; init; }

    /// <summary>Log-probabilities, if asked for.</summary>
    public CompletionLogprobs? Logprobs { get; init; }

    /// <summary>Why it ended, <c>stop</c> or <c>length</c>; null: it goes on.</summary>
    public string? FinishReason { get; init; }

    /// <summary>vLLM: the prompt's token ids, if asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? PromptTokenIds { get; init; }

    /// <summary>vLLM: the generated token ids, if asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? TokenIds { get; init; }
}

/// <summary>Log-probabilities of a continuation, with <c>echo</c> of its prompt before it: four lists of one length.</summary>
public sealed record CompletionLogprobs
{
    /// <summary>The tokens' texts; bytes that are no whole character are spelled as <c>bytes:\xe2\x80</c>.</summary>
    public required IReadOnlyList<string> Tokens { get; init; }

    /// <summary>Log-probability of each token, in nats; null for the first token of a prompt, which nothing precedes.</summary>
    public required IReadOnlyList<double?> TokenLogprobs { get; init; }

    /// <summary>The most likely tokens at each place and the token itself; null for the first token of a prompt.</summary>
    public required IReadOnlyList<IReadOnlyDictionary<string, double>?> TopLogprobs { get; init; }

    /// <summary>Where each token's text begins, in Unicode code points.</summary>
    public required IReadOnlyList<int> TextOffset { get; init; }
}

/// <summary>What was computed for a request.</summary>
/// <param name="PromptTokens">Tokens of all prompts.</param>
/// <param name="CompletionTokens">Generated tokens of all choices.</param>
/// <param name="TotalTokens">Both.</param>
public sealed record Usage(int PromptTokens, int CompletionTokens, int TotalTokens);
