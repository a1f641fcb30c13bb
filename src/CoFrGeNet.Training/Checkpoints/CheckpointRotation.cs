namespace CoFrGeNet.Training;

/// <summary>Which checkpoints are kept when a new one is written.</summary>
/// <param name="Newest">How many of the newest; 1 or more.</param>
/// <param name="Best">Whether the one with the lowest validation loss is kept too.</param>
/// <param name="Every">Those whose step is a multiple of this are kept too; 0: none.</param>
public sealed record CheckpointRotation(int Newest, bool Best = false, int Every = 0)
{
    /// <summary>Whether a checkpoint beyond the newest ones stays.</summary>
    /// <param name="step">Its step.</param>
    /// <param name="bestStep">The step of the best one; null: unknown.</param>
    public bool Keeps(int step, int? bestStep) => (Best && step == bestStep) || (Every > 0 && step % Every == 0);
}
