namespace CoFrGeNet.Training;

/// <summary>One contestant of a comparison.</summary>
/// <param name="Name">Its name, also of its folder.</param>
/// <param name="Config">Its run.</param>
public sealed record ComparisonArm(string Name, RunConfig Config);

/// <summary>What one contestant reached.</summary>
public sealed record ArmResult
{
    /// <summary>The contestant.</summary>
    public required string Name { get; init; }

    /// <summary>All parameters.</summary>
    public required long Parameters { get; init; }

    /// <summary>Parameters inside the blocks.</summary>
    public required long BlockParameters { get; init; }

    /// <summary>Mean cross entropy on the held-out text, nats a token.</summary>
    public required double ValidationLoss { get; init; }

    /// <summary>exp(validation loss).</summary>
    public required double Perplexity { get; init; }

    /// <summary>Bits per byte of the held-out text.</summary>
    public required double BitsPerByte { get; init; }

    /// <summary>Training speed, evaluation and checkpoints left out.</summary>
    public required double TokensPerSecond { get; init; }

    /// <summary>Largest gradient norm after the warm-up, before clipping.</summary>
    public required double MaxGradientNorm { get; init; }

    /// <summary>Largest resident memory of the process while this contestant trained, in bytes.</summary>
    public required long PeakMemoryBytes { get; init; }

    /// <summary>Peak learning rate.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Optimizer steps.</summary>
    public required int Steps { get; init; }

    /// <summary>Training tokens seen.</summary>
    public required long Tokens { get; init; }

    /// <summary>Steps skipped because a gradient was not finite.</summary>
    public required int SkippedSteps { get; init; }

    /// <summary>A text by the trained model.</summary>
    public string Sample { get; init; } = string.Empty;

    /// <summary>Training loss by tokens, one point a logged step.</summary>
    public IReadOnlyList<CurvePoint> TrainingCurve { get; init; } = [];

    /// <summary>Validation loss by tokens.</summary>
    public IReadOnlyList<CurvePoint> ValidationCurve { get; init; } = [];
}

/// <summary>A point of a loss curve.</summary>
/// <param name="Tokens">Training tokens seen.</param>
/// <param name="Loss">Loss in nats a token.</param>
public sealed record CurvePoint(long Tokens, double Loss);
