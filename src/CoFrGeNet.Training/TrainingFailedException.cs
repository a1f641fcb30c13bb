namespace CoFrGeNet.Training;

/// <summary>A run cannot go on, for a reason that lies in the training or the machine: exit code 1, not 2.</summary>
public class TrainingFailedException : Exception
{
    /// <summary>Creates the error.</summary>
    /// <param name="message">One line: what happened and what to try.</param>
    public TrainingFailedException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the error with its cause.</summary>
    /// <param name="message">One line: what happened and what to try.</param>
    /// <param name="innerException">What the system reported.</param>
    public TrainingFailedException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
