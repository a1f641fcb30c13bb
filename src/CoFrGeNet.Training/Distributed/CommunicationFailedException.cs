namespace CoFrGeNet.Training;

/// <summary>Processes that train together have lost one another; the message names the rank, its host and the reason.</summary>
public sealed class CommunicationFailedException : TrainingFailedException
{
    /// <summary>Creates the error.</summary>
    /// <param name="message">One line: which rank, on which host, and what happened.</param>
    public CommunicationFailedException(string message)
        : base(message)
    {
    }
}
