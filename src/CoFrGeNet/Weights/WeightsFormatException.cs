namespace CoFrGeNet.Weights;

/// <summary>A weights file that breaks its format: one line with the file and the reason.</summary>
public sealed class WeightsFormatException : Exception
{
    /// <summary>Creates the error.</summary>
    /// <param name="path">The file.</param>
    /// <param name="reason">What is wrong with it.</param>
    public WeightsFormatException(string path, string reason)
        : base($"{path}: {reason}")
    {
        Path = path;
    }

    /// <summary>Creates the error with its cause.</summary>
    /// <param name="path">The file.</param>
    /// <param name="reason">What is wrong with it.</param>
    /// <param name="innerException">What the system reported.</param>
    public WeightsFormatException(string path, string reason, Exception innerException)
        : base($"{path}: {reason}", innerException)
    {
        Path = path;
    }

    /// <summary>The file.</summary>
    public string Path { get; }
}
