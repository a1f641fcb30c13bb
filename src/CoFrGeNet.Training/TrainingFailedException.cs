namespace CoFrGeNet.Training;

/// <summary>A run cannot go on, for a reason that lies in the training itself: exit code 1, not 2.</summary>
public sealed class TrainingFailedException : Exception
{
    /// <summary>Creates the error.</summary>
    /// <param name="message">One line: what happened and what to try.</param>
    public TrainingFailedException(string message)
        : base(message)
    {
    }
}
