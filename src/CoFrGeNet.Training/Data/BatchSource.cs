using CoFrGeNet.Text;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>Cuts tokens into windows and windows into batches.</summary>
/// <remarks>Letters: B sequences, T tokens a sequence. Each window starts at a multiple of T and holds T inputs and T targets.</remarks>
public sealed class BatchSource
{
    private readonly TokenizedCorpus _tokens;
    private readonly int _length;

    /// <summary>Creates the source.</summary>
    /// <param name="tokens">The tokens.</param>
    /// <param name="sequenceLength">Tokens T of a sequence.</param>
    /// <param name="what">Name of the text, for messages.</param>
    /// <exception cref="UserErrorException">The text has fewer than T + 1 tokens.</exception>
    public BatchSource(TokenizedCorpus tokens, int sequenceLength, string what)
    {
        _tokens = tokens;
        _length = sequenceLength;
        WindowCount = (tokens.Count - 1) / sequenceLength;
        if (WindowCount < 1)
        {
            throw new UserErrorException(
                $"The {what} text has {tokens.Count} tokens; one sequence needs {sequenceLength + 1}. Give more text or a smaller training.sequenceLength.");
        }
    }

    /// <summary>Number of windows.</summary>
    public long WindowCount { get; }

    /// <summary>Builds one batch.</summary>
    /// <param name="windows">Window numbers, 0 .. <see cref="WindowCount"/> - 1.</param>
    /// <param name="device">Where the tensors go.</param>
    /// <returns>Inputs and targets, int64 [B, T] each.</returns>
    public (Tensor Inputs, Tensor Targets) Batch(IReadOnlyList<long> windows, Device device)
    {
        var values = new long[windows.Count * (_length + 1)];
        for (var i = 0; i < windows.Count; i++)
        {
            _tokens.CopyTo((int)(windows[i] * _length), values.AsSpan(i * (_length + 1), _length + 1));
        }

        using var scope = NewDisposeScope();
        var all = tensor(values, [windows.Count, _length + 1], device: device);
        return (all.narrow(1, 0, _length).contiguous().MoveToOuterDisposeScope(), all.narrow(1, 1, _length).contiguous().MoveToOuterDisposeScope());
    }
}
