namespace CoFrGeNet.Training;

/// <summary>This rank ends because another one cannot go on; that one says why.</summary>
public sealed class RankLeftException : Exception
{
    /// <summary>Creates the error.</summary>
    /// <param name="isUserError">Whether what was given was at fault, not the run or the machine.</param>
    public RankLeftException(bool isUserError)
        : base("Another rank cannot go on.") => IsUserError = isUserError;

    /// <summary>Whether what was given was at fault, not the run or the machine.</summary>
    public bool IsUserError { get; }
}
