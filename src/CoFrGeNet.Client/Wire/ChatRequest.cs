using System.Text.Json;
using System.Text.Json.Serialization;

namespace CoFrGeNet.Client;

/// <summary>The body of <c>POST /v1/chat/completions</c>. An absent or null member has its default; unknown members are ignored.</summary>
public sealed record ChatRequest : ISamplingRequest
{
    /// <summary>The model's name, one of <c>GET /v1/models</c>; may be absent where only one is served.</summary>
    public string? Model { get; init; }

    /// <summary>The conversation so far.</summary>
    public IReadOnlyList<ChatMessage>? Messages { get; init; }

    /// <summary>Most tokens to generate; default: as many as the context holds.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>The same under its newer name, which wins.</summary>
    public int? MaxCompletionTokens { get; init; }

    /// <inheritdoc cref="CompletionRequest.Temperature"/>
    public double? Temperature { get; init; }

    /// <inheritdoc cref="CompletionRequest.TopP"/>
    public double? TopP { get; init; }

    /// <inheritdoc cref="CompletionRequest.N"/>
    public int? N { get; init; }

    /// <inheritdoc cref="CompletionRequest.Stream"/>
    public bool? Stream { get; init; }

    /// <inheritdoc cref="CompletionRequest.StreamOptions"/>
    public StreamOptions? StreamOptions { get; init; }

    /// <summary>Whether log-probabilities of the generated tokens are wanted.</summary>
    public bool? Logprobs { get; init; }

    /// <summary>With them so many most likely tokens at each place; 0 to 20.</summary>
    public int? TopLogprobs { get; init; }

    /// <inheritdoc cref="CompletionRequest.Stop"/>
    [JsonConverter(typeof(TextOrListConverter))]
    public IReadOnlyList<string>? Stop { get; init; }

    /// <inheritdoc cref="CompletionRequest.PresencePenalty"/>
    public double? PresencePenalty { get; init; }

    /// <inheritdoc cref="CompletionRequest.FrequencyPenalty"/>
    public double? FrequencyPenalty { get; init; }

    /// <inheritdoc cref="CompletionRequest.LogitBias"/>
    public IReadOnlyDictionary<string, double>? LogitBias { get; init; }

    /// <inheritdoc cref="CompletionRequest.Seed"/>
    public long? Seed { get; init; }

    /// <inheritdoc cref="CompletionRequest.TopK"/>
    public int? TopK { get; init; }

    /// <inheritdoc cref="CompletionRequest.MinP"/>
    public double? MinP { get; init; }

    /// <inheritdoc cref="CompletionRequest.RepetitionPenalty"/>
    public double? RepetitionPenalty { get; init; }

    /// <inheritdoc cref="CompletionRequest.IgnoreEos"/>
    public bool? IgnoreEos { get; init; }

    /// <inheritdoc cref="CompletionRequest.MinTokens"/>
    public int? MinTokens { get; init; }

    /// <inheritdoc cref="CompletionRequest.StopTokenIds"/>
    public IReadOnlyList<int>? StopTokenIds { get; init; }

    /// <summary>Functions that the model may call; these models call none, so a list that is not empty is refused.</summary>
    public IReadOnlyList<JsonElement>? Tools { get; init; }

    /// <summary>The same under its older name.</summary>
    public IReadOnlyList<JsonElement>? Functions { get; init; }

    /// <summary>Kinds of output; only <c>text</c> is allowed.</summary>
    public IReadOnlyList<string>? Modalities { get; init; }

    /// <summary>The form of the answer; only <c>{"type":"text"}</c> is allowed.</summary>
    public ResponseFormat? ResponseFormat { get; init; }
}

/// <summary>The member <c>response_format</c>.</summary>
/// <param name="Type">Only <c>text</c> is allowed.</param>
public sealed record ResponseFormat(string? Type);

/// <summary>One message of a conversation.</summary>
public sealed record ChatMessage
{
    /// <summary>Who speaks: <c>system</c>, <c>user</c>, <c>assistant</c> or another name that the model's template knows.</summary>
    public string? Role { get; init; }

    /// <summary>What is said: a text, or a list of <c>{"type":"text","text":".."}</c>, which are joined; null is an assistant's silence.</summary>
    [JsonConverter(typeof(MessageContentConverter))]
    public string? Content { get; init; }
}
