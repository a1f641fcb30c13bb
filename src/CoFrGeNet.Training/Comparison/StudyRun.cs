using System.Text.Json.Serialization;
using CoFrGeNet.Evaluation;

namespace CoFrGeNet.Training;

/// <summary>A run of a study as it is recorded.</summary>
public sealed record StudyRun
{
    /// <summary>The arm.</summary>
    public required string Arm { get; init; }

    /// <summary>Seed of weights and data order.</summary>
    public required int Seed { get; init; }

    /// <summary>Peak learning rate.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Why it ended early; null: it is complete.</summary>
    public string? Failure { get; init; }

    /// <summary>Mean cross entropy on the held-out text, nats a token; null where the run failed or the loss is not finite.</summary>
    public double? ValidationLoss { get; init; }

    /// <summary>Bits per byte of the held-out text.</summary>
    public double? BitsPerByte { get; init; }

    /// <summary>Largest gradient norm after the warm-up, before clipping; null where it is not known.</summary>
    public double? MaxGradientNorm { get; init; }

    /// <summary>Steps skipped, because a gradient was not finite or a rule said so.</summary>
    public int SkippedSteps { get; init; }

    /// <summary>Training tokens seen.</summary>
    public long Tokens { get; init; }

    /// <summary>Training speed on this machine, whatever else it was doing.</summary>
    public double? TokensPerSecond { get; init; }

    /// <summary>Processor time that the run took in the process that ended it, evaluation included.</summary>
    public double CpuSeconds { get; init; }

    /// <summary>Whether it began in an earlier process, so that <see cref="CpuSeconds"/> counts its last part only.</summary>
    public bool Resumed { get; init; }

    /// <summary>CPU threads.</summary>
    public int Threads { get; init; }

    /// <summary>When it ended, as year-month-day.</summary>
    public string Date { get; init; } = string.Empty;

    /// <summary>Where it ran.</summary>
    public string Machine { get; init; } = string.Empty;

    /// <summary>The version and commit that it ran with.</summary>
    public string Version { get; init; } = string.Empty;

    /// <summary>Copying from the context; null: not measured.</summary>
    public CopyingResult? Copying { get; init; }

    /// <summary>Validation losses by tokens.</summary>
    public IReadOnlyList<CurvePoint> ValidationCurve { get; init; } = [];

    /// <summary>Training losses by tokens, thinned out.</summary>
    public IReadOnlyList<CurvePoint> TrainingCurve { get; init; } = [];

    /// <summary>What tells it apart.</summary>
    [JsonIgnore]
    public StudyRunKey Key => new(Arm, Seed, LearningRate);
}
