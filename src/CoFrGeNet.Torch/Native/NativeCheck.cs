namespace CoFrGeNet.Torch.Native;

/// <summary>One line of what the environment offers.</summary>
/// <param name="Name">What was looked at.</param>
/// <param name="Status">How it went.</param>
/// <param name="Found">What was found, and where.</param>
/// <param name="Fix">One line that says how to mend it; null when there is nothing to mend.</param>
public sealed record NativeCheck(string Name, NativeCheckStatus Status, string Found, string? Fix = null);
