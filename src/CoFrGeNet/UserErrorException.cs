namespace CoFrGeNet;

/// <summary>
/// A mistake of the user, not of this program: one line that says what was given, what is allowed and how to mend it.
/// The command-line tool prints the message alone and exits with code 2.
/// </summary>
public sealed class UserErrorException : Exception
{
    /// <summary>Creates the error.</summary>
    /// <param name="message">One line: what was given, what is allowed, how to mend it.</param>
    public UserErrorException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the error with its cause.</summary>
    /// <param name="message">One line: what was given, what is allowed, how to mend it.</param>
    /// <param name="innerException">What the system reported.</param>
    public UserErrorException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
