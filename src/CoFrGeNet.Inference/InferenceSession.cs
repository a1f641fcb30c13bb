using CoFrGeNet.Generation;

namespace CoFrGeNet.Inference;

/// <summary>Decodes one sequence.</summary>
internal sealed class InferenceSession : IDecodingSession
{
    private bool _hasLogits;
    private bool _isDisposed;

    /// <summary>Starts empty.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pool">Where its cache comes from.</param>
    public InferenceSession(InferenceModel model, CachePool pool)
    {
        Model = model;
        Sequence = new TokenSequence(pool) { Logits = GC.AllocateUninitializedArray<float>(model.VocabularySize, pinned: true) };
    }

    /// <summary>The model.</summary>
    public InferenceModel Model { get; }

    /// <summary>Its tokens and cache.</summary>
    public TokenSequence Sequence { get; }

    /// <inheritdoc/>
    public int Length => Sequence.Cache.Length;

    /// <inheritdoc/>
    public ReadOnlySpan<float> Logits => _hasLogits ? Sequence.Logits : [];

    /// <inheritdoc/>
    public ReadOnlySpan<float> Append(ReadOnlySpan<int> tokens)
    {
        Prepare(tokens);
        Model.Run(Sequence);
        _hasLogits = true;
        return Logits;
    }

    /// <summary>Checks and takes tokens.</summary>
    /// <param name="tokens">The tokens.</param>
    public void Prepare(ReadOnlySpan<int> tokens)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        Model.Check(tokens, Length);
        Sequence.Prepare(tokens);
    }

    /// <summary>Notes that the logits are there.</summary>
    public void Finish() => _hasLogits = true;

    /// <inheritdoc/>
    public void Truncate(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length);
        Sequence.Cache.Truncate(length);
        _hasLogits = false;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _isDisposed = true;
        _hasLogits = false;
        Sequence.Dispose();
    }
}
