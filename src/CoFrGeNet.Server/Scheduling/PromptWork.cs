using CoFrGeNet.Generation;

namespace CoFrGeNet.Server;

/// <summary>A prompt and the choices that continue it.</summary>
internal sealed class PromptWork
{
    /// <summary>The prompt's ids.</summary>
    public required int[] Tokens { get; init; }

    /// <summary>Number of the first choice.</summary>
    public required int FirstChoice { get; init; }

    /// <summary>The samplers of its choices; null where nothing shall be generated.</summary>
    public required IReadOnlyList<Sampler?> Choices { get; init; }

    /// <summary>How many of the likeliest tokens are listed at each place of the prompt; null: it is not scored.</summary>
    public int? ScoreTop { get; init; }

    /// <summary>The prompt's log-probabilities, once computed for the first choice; the others take them from here.</summary>
    public TokenLogProbabilities?[]? Scores { get; set; }

    /// <summary>With them the logits after the prompt.</summary>
    public float[] NextLogits { get; set; } = [];
}
