namespace CoFrGeNet.Generation;

/// <summary>One sequence that grows token by token; what earlier tokens left in the cache is not computed again. Not for several threads at once.</summary>
public interface IDecodingSession : IDisposable
{
    /// <summary>Number of tokens so far.</summary>
    public int Length { get; }

    /// <summary>The logits after the last token, valid until tokens are appended again; empty before the first and after <see cref="Truncate"/>.</summary>
    public ReadOnlySpan<float> Logits { get; }

    /// <summary>Appends tokens.</summary>
    /// <param name="tokens">One or more token ids.</param>
    /// <returns><see cref="Logits"/>.</returns>
    /// <exception cref="UserErrorException">The sequence would be longer than the context; nothing has changed then.</exception>
    public ReadOnlySpan<float> Append(ReadOnlySpan<int> tokens);

    /// <summary>Forgets the tokens after a position, for example to try another continuation.</summary>
    /// <param name="length">How many tokens stay; 0 to <see cref="Length"/>.</param>
    public void Truncate(int length);

    /// <summary>What is said where a sequence would outgrow the context.</summary>
    /// <param name="length">Tokens so far.</param>
    /// <param name="more">Tokens to be appended.</param>
    /// <param name="contextLength">Tokens that the model's context holds.</param>
    internal static string TooLong(int length, int more, int contextLength) =>
        $"The sequence would have {length + more} tokens; this model's context holds {contextLength}. Shorten it by {length + more - contextLength} tokens.";
}
