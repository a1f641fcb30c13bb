namespace CoFrGeNet.Training;

/// <summary>
/// The largest resident memory of the process seen after a step. With memory kept by the process between steps this is the peak of the
/// steps themselves; elsewhere it is a lower bound.
/// </summary>
public sealed class PeakMemory : ITrainingObserver
{
    /// <summary>The largest so far, in bytes.</summary>
    public long Bytes { get; private set; }

    /// <inheritdoc/>
    public void OnStep(TrainingProgress progress)
    {
        // Reading it costs a file access on Linux; memory settles within the first steps.
        if (progress.Step <= 5 || progress.Step % 50 == 0)
        {
            Bytes = Math.Max(Bytes, Environment.WorkingSet);
        }
    }

    /// <inheritdoc/>
    public void OnEvaluation(int step, EvaluationResult result)
    {
    }

    /// <inheritdoc/>
    public void OnMessage(int step, string message)
    {
    }
}
