namespace CoFrGeNet.Inference;

/// <summary>A sequence, the tokens that it is to receive, and what is wanted of them.</summary>
internal sealed unsafe class TokenSequence : IDisposable
{
    private int[] _tokens = [];
    private int _total;
    private int _done;

    /// <summary>Starts empty.</summary>
    /// <param name="pool">Where the cache's memory comes from.</param>
    public TokenSequence(CachePool pool) => Cache = new SequenceCache(pool);

    /// <summary>What layers keep of the tokens so far.</summary>
    public SequenceCache Cache { get; }

    /// <summary>Tokens that are still to come.</summary>
    public ReadOnlySpan<int> Pending => _tokens.AsSpan(_done, _total - _done);

    /// <summary>Whether the tokens are multiplied in blocks, however few they are.</summary>
    public bool AlwaysBlock { get; init; }

    /// <summary>Whether the tokens are multiplied in blocks; a matter of their number alone.</summary>
    public bool IsBlock => AlwaysBlock || _total >= Pass.BlockTokens;

    /// <summary>Receives the logits after the last token, [V], in memory that does not move; null: they are not wanted.</summary>
    public float[]? Logits { get; init; }

    /// <summary>The positions whose hidden values are wanted and where these go, rising by position.</summary>
    public (int Position, nint Target)[] Wanted { get; init; } = [];

    /// <summary>Takes tokens and the cache's room for them.</summary>
    /// <param name="tokens">The tokens.</param>
    /// <exception cref="UserErrorException">The budget of the caches is used up; nothing has changed then.</exception>
    public void Prepare(ReadOnlySpan<int> tokens)
    {
        Cache.Reserve(tokens.Length);
        if (_tokens.Length < tokens.Length)
        {
            _tokens = new int[Math.Max(tokens.Length, 2 * _tokens.Length)];
        }

        tokens.CopyTo(_tokens);
        (_total, _done) = (tokens.Length, 0);
    }

    /// <summary>Takes back what is still to come.</summary>
    public void Cancel()
    {
        (_total, _done) = (0, 0);
        Cache.Truncate(Cache.Length);
    }

    /// <summary>Counts tokens that were received.</summary>
    /// <param name="count">Number of tokens.</param>
    public void Advance(int count)
    {
        _done += count;
        Cache.Advance(count);
    }

    /// <inheritdoc/>
    public void Dispose() => Cache.Dispose();
}
