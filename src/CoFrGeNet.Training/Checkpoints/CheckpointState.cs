namespace CoFrGeNet.Training;

/// <summary>What a checkpoint holds beside weights and optimizer state.</summary>
public sealed record CheckpointState
{
    /// <summary>Optimizer steps done; with the seed it fixes the position in the data.</summary>
    public required int Step { get; init; }

    /// <summary>Training tokens seen.</summary>
    public required long Tokens { get; init; }

    /// <summary>Steps that were skipped because a gradient was not finite.</summary>
    public int SkippedSteps { get; init; }

    /// <summary>Largest gradient norm after the warm-up, before clipping.</summary>
    public double MaxGradientNorm { get; init; }

    /// <summary>Hash of the training tokens, so that a resume notices another text; absent in old checkpoints.</summary>
    public string? TextFingerprint { get; init; }

    /// <summary>Updates of each parameter so far; those that were frozen have fewer.</summary>
    public required IReadOnlyDictionary<string, long> ParameterSteps { get; init; }
}
