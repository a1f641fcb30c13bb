namespace CoFrGeNet.Training;

/// <summary>What is known after a step; one line of metrics.jsonl.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="Steps">Steps of the run.</param>
/// <param name="Tokens">Training tokens seen.</param>
/// <param name="Loss">Training loss of the step, nats a token.</param>
/// <param name="LearningRate">Learning rate of the step.</param>
/// <param name="TokensPerSecond">Training speed since the start or the resume, evaluation left out.</param>
/// <param name="Norms">Gradient norms before clipping.</param>
/// <param name="ActiveLevels">Ladder levels that are trained, or null without a schedule.</param>
/// <param name="Poles">Denominators of each layer with ladders; empty on steps that are not logged.</param>
public sealed record TrainingProgress(
    int Step,
    int Steps,
    long Tokens,
    double Loss,
    double LearningRate,
    double TokensPerSecond,
    GradientNorms Norms,
    int? ActiveLevels,
    IReadOnlyList<PoleReport> Poles)
{
    /// <summary>Depth of the deepest ladder, of which <see cref="ActiveLevels"/> are trained; null without a schedule.</summary>
    public int? Levels { get; init; }

    /// <summary>Why the step's update was skipped; null: it was made.</summary>
    public string? Skipped { get; init; }
}

/// <summary>How close the ladders of one layer came to their poles.</summary>
/// <param name="Layer">The module's name, for example <c>blocks.0.feed_forward.ladders</c>.</param>
/// <param name="GuardedShare">Share of denominators with |K_d| below the guard's epsilon.</param>
/// <param name="MinDenominator">Smallest |K_d|.</param>
/// <param name="MaxOutput">Largest |f|.</param>
/// <param name="GradientNorm">Gradient norm of the layer's ladder weights, before clipping.</param>
/// <param name="LargestGradient">The largest gradient norm of one of its ladders, before clipping.</param>
public sealed record PoleReport(string Layer, double GuardedShare, double MinDenominator, double MaxOutput, double GradientNorm, double LargestGradient);

/// <summary>Hears what a trainer does. Members are called on the trainer's thread.</summary>
public interface ITrainingObserver
{
    /// <summary>A step is done.</summary>
    /// <param name="progress">What is known after it.</param>
    void OnStep(TrainingProgress progress);

    /// <summary>An evaluation is done.</summary>
    /// <param name="step">Steps done.</param>
    /// <param name="result">The held-out loss.</param>
    void OnEvaluation(int step, EvaluationResult result);

    /// <summary>Something worth a line in the log: a ladder level unfrozen, a step skipped, a checkpoint written.</summary>
    /// <param name="step">The step that it belongs to, counted from 1; 0 before the first.</param>
    /// <param name="message">One line.</param>
    void OnMessage(int step, string message);

    /// <summary>A checkpoint is about to be written: what was reported so far must outlive a power cut if the checkpoint does.</summary>
    /// <param name="step">Steps done.</param>
    void OnSaving(int step)
    {
    }
}
