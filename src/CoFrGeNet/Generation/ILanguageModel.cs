namespace CoFrGeNet.Generation;

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

    /// <summary>Runs a batch of sequences and gives the logits at chosen positions only, since those of all would not fit for long texts.</summary>
    /// <param name="sequences">Token ids; lengths may differ, each 1 to <see cref="ContextLength"/>.</param>
    /// <param name="positions">The positions whose logits are wanted, in the order in which they are written.</param>
    /// <param name="logits">Receives <see cref="VocabularySize"/> values for every position: logits of the token that follows it.</param>
    /// <exception cref="UserErrorException">A sequence is longer than the context.</exception>
    public void Forward(IReadOnlyList<ReadOnlyMemory<int>> sequences, IReadOnlyList<TokenPosition> positions, Span<float> logits);

    /// <summary>Starts decoding one sequence with a cache.</summary>
    /// <returns>An empty session; dispose it to free the cache.</returns>
    public IDecodingSession StartSession();
}
