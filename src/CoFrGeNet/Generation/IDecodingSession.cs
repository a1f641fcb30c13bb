namespace CoFrGeNet.Generation;

/// <summary>One sequence that grows token by token; what earlier tokens left in the cache is not computed again. Not for several threads at once.</summary>
public interface IDecodingSession : IDisposable
{
    /// <summary>Number of tokens so far.</summary>
    public int Length { get; }

    /// <summary>Appends tokens.</summary>
    /// <param name="tokens">One or more token ids.</param>
    /// <returns>The logits after the last one, valid until the next call.</returns>
    /// <exception cref="UserErrorException">The sequence would be longer than the context.</exception>
    public ReadOnlySpan<float> Append(ReadOnlySpan<int> tokens);

    /// <summary>Forgets the tokens after a position, for example to try another continuation.</summary>
    /// <param name="length">How many tokens stay; 0 to <see cref="Length"/>.</param>
    public void Truncate(int length);
}
