using System.Text.Json.Serialization;

namespace CoFrGeNet.Client;

/// <summary>The answer of <c>POST /v1/chat/completions</c>.</summary>
public sealed record ChatResponse
{
    /// <summary>Names the request: <c>chatcmpl-..</c>.</summary>
    public required string Id { get; init; }

    /// <summary>Always <c>chat.completion</c>.</summary>
    public string Object { get; init; } = "chat.completion";

    /// <summary>When the request came, in seconds since 1970.</summary>
    public required long Created { get; init; }

    /// <summary>The model's name.</summary>
    public required string Model { get; init; }

    /// <summary>The answers.</summary>
    public required IReadOnlyList<ChatChoice> Choices { get; init; }

    /// <summary>What was computed.</summary>
    public required Usage Usage { get; init; }
}

/// <summary>One answer.</summary>
public sealed record ChatChoice
{
    /// <summary>Its number.</summary>
    public required int Index { get; init; }

    /// <summary>What the model says.</summary>
    public required AssistantMessage Message { get; init; }

    /// <summary>Log-probabilities, if asked for.</summary>
    public ChatLogprobs? Logprobs { get; init; }

    /// <summary>Why it ended: <c>stop</c> or <c>length</c>.</summary>
    public required string FinishReason { get; init; }
}

/// <summary>A message of the model.</summary>
/// <param name="Role">Always <c>assistant</c>.</param>
/// <param name="Content">The text.</param>
/// <param name="Refusal">Always null.</param>
public sealed record AssistantMessage(string Role, string Content, string? Refusal = null);

/// <summary>One event of a streamed answer.</summary>
public sealed record ChatChunk
{
    /// <summary>Names the request: <c>chatcmpl-..</c>.</summary>
    public required string Id { get; init; }

    /// <summary>Always <c>chat.completion.chunk</c>.</summary>
    public string Object { get; init; } = "chat.completion.chunk";

    /// <summary>When the request came, in seconds since 1970.</summary>
    public required long Created { get; init; }

    /// <summary>The model's name.</summary>
    public required string Model { get; init; }

    /// <summary>What is new; empty in the chunk that holds the usage.</summary>
    public required IReadOnlyList<ChatChunkChoice> Choices { get; init; }

    /// <summary>What was computed, in a chunk of its own.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Usage? Usage { get; init; }
}

/// <summary>What is new in one answer.</summary>
public sealed record ChatChunkChoice
{
    /// <summary>The answer's number.</summary>
    public required int Index { get; init; }

    /// <summary>The new part.</summary>
    public required ChatDelta Delta { get; init; }

    /// <summary>Log-probabilities of the new tokens, if asked for.</summary>
    public ChatLogprobs? Logprobs { get; init; }

    /// <summary>Why it ended: <c>stop</c> or <c>length</c>; null: it goes on.</summary>
    public string? FinishReason { get; init; }
}

/// <summary>A part of a message.</summary>
public sealed record ChatDelta
{
    /// <summary><c>assistant</c>, in the first part.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Role { get; init; }

    /// <summary>Text; absent in the last part.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Content { get; init; }
}

/// <summary>Log-probabilities of generated tokens.</summary>
/// <param name="Content">One entry a token.</param>
public sealed record ChatLogprobs(IReadOnlyList<ChatTokenLogprob> Content);

/// <summary>The log-probability of a token.</summary>
/// <param name="Token">Its text; bytes that are no whole character are spelled as <c>bytes:\xe2\x80</c>.</param>
/// <param name="Logprob">In nats; -9999 at least.</param>
/// <param name="Bytes">Its bytes.</param>
/// <param name="TopLogprobs">The most likely tokens in its place.</param>
public sealed record ChatTokenLogprob(string Token, double Logprob, IReadOnlyList<int> Bytes, IReadOnlyList<ChatTopLogprob> TopLogprobs);

/// <summary>One of the most likely tokens.</summary>
/// <param name="Token">Its text.</param>
/// <param name="Logprob">In nats; -9999 at least.</param>
/// <param name="Bytes">Its bytes.</param>
public sealed record ChatTopLogprob(string Token, double Logprob, IReadOnlyList<int> Bytes);
