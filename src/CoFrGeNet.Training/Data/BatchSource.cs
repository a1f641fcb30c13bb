using CoFrGeNet.Data;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>Cuts tokens into windows and windows into batches.</summary>
/// <remarks>Letters: B sequences, T tokens a sequence. Each window starts at a multiple of T and holds T inputs and T targets.</remarks>
public sealed class BatchSource
{
    private readonly ITokenSequence _tokens;
    private readonly int _length;

    /// <summary>Creates the source.</summary>
    /// <param name="tokens">The tokens.</param>
    /// <param name="sequenceLength">Tokens T of a sequence.</param>
    /// <param name="what">Name of the text, for messages.</param>
    /// <exception cref="UserErrorException">The text has fewer than T + 1 tokens.</exception>
    public BatchSource(ITokenSequence tokens, int sequenceLength, string what)
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
            CopyWindow(windows[i], values.AsSpan(i * (_length + 1), _length + 1));
        }

        return ToTensors(values, _length, device);
    }

    /// <summary>Copies a window.</summary>
    /// <param name="window">Its number, 0 .. <see cref="WindowCount"/> - 1.</param>
    /// <param name="destination">Receives T + 1 tokens.</param>
    public void CopyWindow(long window, Span<long> destination) => _tokens.CopyTo(window * _length, destination);

    /// <summary>Makes tensors of windows that lie one after the other.</summary>
    /// <param name="values">B windows of T + 1 tokens.</param>
    /// <param name="length">Tokens T of a sequence.</param>
    /// <param name="device">Where the tensors go.</param>
    /// <returns>Inputs and targets, int64 [B, T] each.</returns>
    internal static (Tensor Inputs, Tensor Targets) ToTensors(long[] values, int length, Device device)
    {
        using var scope = NewDisposeScope();
        var all = tensor(values, [values.Length / (length + 1), length + 1], device: device);
        return (all.narrow(1, 0, length).contiguous().MoveToOuterDisposeScope(), all.narrow(1, 1, length).contiguous().MoveToOuterDisposeScope());
    }
}
