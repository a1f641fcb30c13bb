namespace CoFrGeNet.Client;

/// <summary>What requests for completions and for chats have in common.</summary>
public interface ISamplingRequest
{
    /// <inheritdoc cref="CompletionRequest.Model"/>
    public string? Model { get; }

    /// <inheritdoc cref="CompletionRequest.Temperature"/>
    public double? Temperature { get; }

    /// <inheritdoc cref="CompletionRequest.TopP"/>
    public double? TopP { get; }

    /// <inheritdoc cref="CompletionRequest.N"/>
    public int? N { get; }

    /// <inheritdoc cref="CompletionRequest.Stream"/>
    public bool? Stream { get; }

    /// <inheritdoc cref="CompletionRequest.StreamOptions"/>
    public StreamOptions? StreamOptions { get; }

    /// <inheritdoc cref="CompletionRequest.Stop"/>
    public IReadOnlyList<string>? Stop { get; }

    /// <inheritdoc cref="CompletionRequest.PresencePenalty"/>
    public double? PresencePenalty { get; }

    /// <inheritdoc cref="CompletionRequest.FrequencyPenalty"/>
    public double? FrequencyPenalty { get; }

    /// <inheritdoc cref="CompletionRequest.LogitBias"/>
    public IReadOnlyDictionary<string, double>? LogitBias { get; }

    /// <inheritdoc cref="CompletionRequest.Seed"/>
    public long? Seed { get; }

    /// <inheritdoc cref="CompletionRequest.TopK"/>
    public int? TopK { get; }

    /// <inheritdoc cref="CompletionRequest.MinP"/>
    public double? MinP { get; }

    /// <inheritdoc cref="CompletionRequest.RepetitionPenalty"/>
    public double? RepetitionPenalty { get; }

    /// <inheritdoc cref="CompletionRequest.IgnoreEos"/>
    public bool? IgnoreEos { get; }

    /// <inheritdoc cref="CompletionRequest.MinTokens"/>
    public int? MinTokens { get; }

    /// <inheritdoc cref="CompletionRequest.StopTokenIds"/>
    public IReadOnlyList<int>? StopTokenIds { get; }
}
