namespace CoFrGeNet.Generation;

/// <summary>Takes the logits of one position.</summary>
/// <param name="index">Which of the wanted positions, from 0; they come in their order.</param>
/// <param name="logits">One a token, of the token that follows; valid during the call only.</param>
public delegate void LogitsReader(int index, ReadOnlySpan<float> logits);

/// <summary>
/// A language model as evaluation, generation and servers see it: token ids in, float32 logits out. Neither torch nor any other engine shows.
/// Implementations allow several threads at once, each with sessions of its own.
/// </summary>
public interface ILanguageModel
{
    /// <summary>Number of logits a position; ids lie in [0, VocabularySize).</summary>
    public int VocabularySize { get; }

    /// <summary>Most tokens that a sequence may have.</summary>
    public int ContextLength { get; }

    /// <summary>
    /// Runs a batch of sequences and gives the logits at chosen positions only, a few at a time: those of a long text over a large vocabulary fill gigabytes.
    /// </summary>
    /// <param name="sequences">Token ids; lengths may differ, each 1 to <see cref="ContextLength"/>.</param>
    /// <param name="positions">The positions whose logits are wanted.</param>
    /// <param name="reader">Receives <see cref="VocabularySize"/> logits for each position, in the order of <paramref name="positions"/>, on the calling thread.</param>
    /// <exception cref="UserErrorException">A sequence is longer than the context.</exception>
    public void Forward(IReadOnlyList<ReadOnlyMemory<int>> sequences, IReadOnlyList<TokenPosition> positions, LogitsReader reader);

    /// <summary>The same into one buffer.</summary>
    /// <param name="sequences">Token ids; lengths may differ, each 1 to <see cref="ContextLength"/>.</param>
    /// <param name="positions">The positions whose logits are wanted, in the order in which they are written.</param>
    /// <param name="logits">Receives <see cref="VocabularySize"/> values for every position.</param>
    /// <exception cref="UserErrorException">A sequence is longer than the context.</exception>
    public void Forward(IReadOnlyList<ReadOnlyMemory<int>> sequences, IReadOnlyList<TokenPosition> positions, Memory<float> logits)
    {
        ArgumentNullException.ThrowIfNull(positions);
        ArgumentOutOfRangeException.ThrowIfLessThan((long)logits.Length, (long)positions.Count * VocabularySize, nameof(logits));
        Forward(sequences, positions, (index, values) => values.CopyTo(logits.Span[(index * VocabularySize)..]));
    }

    /// <summary>Starts decoding one sequence with a cache.</summary>
    /// <returns>An empty session; dispose it to free the cache.</returns>
    public IDecodingSession StartSession();

    /// <summary>
    /// Appends tokens to several sessions of this model, in one pass over the weights where the engine can: that is what makes many sequences at once cheap.
    /// </summary>
    /// <param name="steps">The sessions, each at most once, with the tokens that it receives; <see cref="IDecodingSession.Logits"/> holds the results.</param>
    /// <exception cref="UserErrorException">A sequence would be longer than the context; no session has changed then.</exception>
    public void Append(ReadOnlySpan<SessionTokens> steps)
    {
        foreach (var step in steps)
        {
            if (step.Session.Length + step.Tokens.Length > ContextLength)
            {
                throw new UserErrorException(IDecodingSession.TooLong(step.Session.Length, step.Tokens.Length, ContextLength));
            }
        }

        foreach (var step in steps)
        {
            step.Session.Append(step.Tokens.Span);
        }
    }
}
