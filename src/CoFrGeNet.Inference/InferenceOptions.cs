namespace CoFrGeNet.Inference;

/// <summary>How a model is loaded.</summary>
public sealed record InferenceOptions
{
    /// <summary>Most threads of a pass; absent: all cores. Models and sessions of a process share one team of threads, so more of them never crowd the cores.</summary>
    public int? Threads { get; init; }

    /// <summary>
    /// Most bytes that the caches of all sequences take together, rounded down to whole pages of 64 tokens; absent: no limit. A sequence that would need more is refused.
    /// </summary>
    public long? CacheBytes { get; init; }

    /// <summary>The same in tokens; where both are given, the smaller one counts.</summary>
    public long? CacheTokens { get; init; }

    /// <summary>Checks the members.</summary>
    /// <exception cref="UserErrorException">A member is out of range.</exception>
    public void Validate()
    {
        if (Threads is < 1)
        {
            throw new UserErrorException($"threads is {Threads}; allowed is 1 or more.");
        }

        if (CacheBytes is < 1)
        {
            throw new UserErrorException($"cacheBytes is {CacheBytes}; allowed is 1 or more.");
        }

        if (CacheTokens is < 1)
        {
            throw new UserErrorException($"cacheTokens is {CacheTokens}; allowed is 1 or more.");
        }
    }
}
