using CoFrGeNet.Configuration;

namespace CoFrGeNet.Training;

/// <summary>
/// What a checkpoint holds beside weights and optimizer state. There is no generator's state among it: the order of the data is computed
/// from the seed and the step, and nothing else in training is random.
/// </summary>
public sealed record CheckpointState
{
    /// <summary>Optimizer steps done; with the seed it fixes the position in the data, the learning rate and the ladder schedule.</summary>
    public required int Step { get; init; }

    /// <summary>Training tokens seen.</summary>
    public required long Tokens { get; init; }

    /// <summary>Steps that were skipped, because a gradient was not finite or the spike rule said so.</summary>
    public int SkippedSteps { get; init; }

    /// <summary>How many of the last steps in a row were skipped because a gradient was not finite.</summary>
    public int SkippedInARow { get; init; }

    /// <summary>What the spike rule remembers; absent where it is off.</summary>
    public SpikeState? Spikes { get; init; }

    /// <summary>Largest gradient norm after the warm-up, before clipping.</summary>
    public double MaxGradientNorm { get; init; }

    /// <summary>The last evaluation before this checkpoint; absent before the first one.</summary>
    public EvaluatedStep? LastEvaluation { get; init; }

    /// <summary>The step of the best checkpoint so far, this one included, and the validation loss that makes it the best.</summary>
    public EvaluatedStep? Best { get; init; }

    /// <summary>Hash of the training tokens, so that a resume notices another text or tokenizer.</summary>
    public required string TextFingerprint { get; init; }

    /// <summary>The model, so that a checkpoint of another one is noticed even where all shapes agree.</summary>
    public required ModelConfig Model { get; init; }

    /// <summary>Updates of each parameter so far; those that were frozen have fewer.</summary>
    public required IReadOnlyDictionary<string, long> ParameterSteps { get; init; }
}

/// <summary>A validation loss and the step that it belongs to.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="ValidationLoss">Nats a token; finite.</param>
public sealed record EvaluatedStep(int Step, double ValidationLoss);
