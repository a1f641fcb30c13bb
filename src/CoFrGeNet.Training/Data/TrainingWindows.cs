using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>
/// The windows of a run in the order in which they are trained on, from one source or several. What stands at a position follows from the position and the seed
/// alone. Each source is seen in an order of its own, every window once before any comes again.
/// </summary>
public sealed class TrainingWindows : IDisposable
{
    private readonly IReadOnlyList<TextSource> _texts;
    private readonly BatchSource[] _sources;
    private readonly WindowOrder[] _orders;
    private readonly WindowMix _mix;
    private readonly int _length;
    private (long Position, int Count, Task<long[]> Tokens)? _prepared;

    /// <summary>Lays out the order.</summary>
    /// <param name="data">The text.</param>
    /// <param name="sequenceLength">Tokens T of a sequence.</param>
    /// <param name="seed">Chooses the order.</param>
    /// <exception cref="UserErrorException">A source has fewer than T + 1 tokens.</exception>
    public TrainingWindows(TextData data, int sequenceLength, int seed)
    {
        ArgumentNullException.ThrowIfNull(data);
        _texts = data.Sources;
        _length = sequenceLength;
        _sources = [.. _texts.Select(text => new BatchSource(text.Tokens, sequenceLength, _texts.Count == 1 ? "training" : $"training ({text.Name})"))];
        // The first source keeps the run's seed, so that one source alone is seen as ever.
        _orders = [.. _sources.Select((source, i) => new WindowOrder(source.WindowCount, unchecked(seed + (i * 1_000_003)) & int.MaxValue))];
        _mix = new WindowMix([.. _texts.Select(text => text.Weight)]);
    }

    /// <summary>The source and its window at a position.</summary>
    /// <param name="position">Number of windows seen before, from 0.</param>
    public (int Source, long Window) At(long position)
    {
        var (source, served) = _mix.At(position);
        return (source, _orders[source].At(served));
    }

    /// <summary>Builds one batch.</summary>
    /// <param name="position">Position of its first window.</param>
    /// <param name="count">Number of windows B.</param>
    /// <param name="device">Where the tensors go.</param>
    /// <returns>Inputs and targets, int64 [B, T] each.</returns>
    public (Tensor Inputs, Tensor Targets) Batch(long position, int count, Device device)
    {
        var values = _prepared is { } next && (next.Position, next.Count) == (position, count) ? next.Tokens.GetAwaiter().GetResult() : Read(position, count);
        _prepared = null;
        return BatchSource.ToTensors(values, _length, device);
    }

    /// <summary>Begins to read a batch beside whatever else runs, so that a slow disk does not hold up the next step. What fails shows when it is asked for.</summary>
    /// <param name="position">Position of its first window.</param>
    /// <param name="count">Number of windows B.</param>
    public void Prepare(long position, int count) => _prepared = (position, count, Task.Run(() => Read(position, count)));

    /// <summary>Waits for what is still being read; the text may be closed afterwards.</summary>
    public void Dispose()
    {
        _prepared?.Tokens.ContinueWith(static _ => { }, TaskScheduler.Default).Wait();
        _prepared = null;
    }

    private long[] Read(long position, int count)
    {
        var values = new long[count * (_length + 1)];
        for (var i = 0; i < count; i++)
        {
            var (source, window) = At(position + i);
            _sources[source].CopyWindow(window, values.AsSpan(i * (_length + 1), _length + 1));
        }

        return values;
    }

    /// <summary>How often each source has been seen.</summary>
    /// <param name="position">Number of windows seen.</param>
    public IReadOnlyList<(string Name, double Epochs)> Epochs(long position) =>
        [.. _texts.Select((text, i) => (text.Name, (double)_mix.Served(i, position) / _sources[i].WindowCount))];
}
