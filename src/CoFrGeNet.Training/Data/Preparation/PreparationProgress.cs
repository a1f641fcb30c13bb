namespace CoFrGeNet.Training;

/// <summary>How far a preparation is.</summary>
/// <param name="Documents">Documents kept so far.</param>
/// <param name="Tokens">Tokens written in this run.</param>
/// <param name="TextBytes">Bytes of text in UTF-8 seen so far.</param>
/// <param name="ReadBytes">Bytes of the input files read so far.</param>
/// <param name="InputBytes">Length of the input files; 0 where standard input is one.</param>
/// <param name="Seconds">Time since the start.</param>
public sealed record PreparationProgress(long Documents, long Tokens, long TextBytes, long ReadBytes, long InputBytes, double Seconds)
{
    /// <summary>Seconds left at the pace so far; null where the length is not known.</summary>
    public double? SecondsLeft => InputBytes > 0 && ReadBytes > 0 ? Seconds * Math.Max(0, InputBytes - ReadBytes) / ReadBytes : null;
}
