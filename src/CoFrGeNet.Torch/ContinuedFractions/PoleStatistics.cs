using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

// Dimensions: ... = any leading dimensions, L = number of ladders.

/// <summary>
/// How close ladders came to their poles, counted over the forward passes that it was handed to. The sums stay on the ladders' device;
/// reading a property, or a pass on another device, waits for it. Not safe for use from several threads at once.
/// </summary>
public sealed class PoleStatistics : IDisposable
{
    private long _count;
    private long _guarded;
    private double _minDenominator = double.PositiveInfinity;
    private double _maxOutput;

    // Passes not yet read back: number of guarded denominators (int64), smallest |K_d|, largest |f|; 0-dimensional.
    private Tensor? _pendingGuarded;
    private Tensor? _pendingMin;
    private Tensor? _pendingMax;

    /// <summary>The number of ladder values seen.</summary>
    public long Count => _count;

    /// <summary>The number of them with |K_d| &lt; eps, where the guard changes f noticeably.</summary>
    public long Guarded
    {
        get
        {
            ReadBack();
            return _guarded;
        }
    }

    /// <summary>The share of them with |K_d| &lt; eps, 0 to 1; 0 before the first pass.</summary>
    public double GuardedShare => _count == 0 ? 0 : (double)Guarded / _count;

    /// <summary>The smallest |K_d| before it is guarded; infinite before the first pass, NaN once a K_d is.</summary>
    public double MinDenominator
    {
        get
        {
            ReadBack();
            return _minDenominator;
        }
    }

    /// <summary>The largest |f|; 0 before the first pass, NaN once an f is.</summary>
    public double MaxOutput
    {
        get
        {
            ReadBack();
            return _maxOutput;
        }
    }

    /// <summary>Forgets everything counted so far.</summary>
    public void Reset()
    {
        ReleasePending();
        _count = 0;
        _guarded = 0;
        _minDenominator = double.PositiveInfinity;
        _maxOutput = 0;
    }

    /// <summary>Releases what is held on the device.</summary>
    public void Dispose() => ReleasePending();

    /// <summary>Counts what a fused kernel has seen; its continuants are in units of <paramref name="scale"/>.</summary>
    internal void Add(long count, LadderTracking seen, double scale)
    {
        _count += count;
        _guarded += seen.Guarded;
        _minDenominator = Math.Min(_minDenominator, seen.MinDenominator / scale);
        _maxOutput = Math.Max(_maxOutput, seen.MaxOutput);
    }

    /// <summary>
    /// Counts what a kernel on another device has seen or will have by the time its stream gets there: number of guarded denominators, smallest |K_d| and
    /// largest |f|, each 0-dimensional.
    /// </summary>
    internal void Add(long count, Tensor guarded, Tensor minDenominator, Tensor maxOutput)
    {
        using DisposeScope scope = NewDisposeScope();
        _count += count;
        ReadBackUnlessLike(minDenominator);

        Replace(ref _pendingGuarded, guarded.alias(), static (x, y) => x.Plus(y));
        Replace(ref _pendingMin, minDenominator.alias(), static (x, y) => minimum(x, y));
        Replace(ref _pendingMax, maxOutput.alias(), static (x, y) => maximum(x, y));
    }

    /// <summary>Counts scale K_d, [..., L], whose guarded zone is <paramref name="scaledEpsilon"/> wide.</summary>
    internal void AddDenominators(Tensor denominators, double scaledEpsilon, double scale)
    {
        long count = denominators.numel();
        if (count == 0)
        {
            return;
        }

        using DisposeScope scope = NewDisposeScope();
        using Scalar epsilon = scaledEpsilon.ToScalar();
        using Scalar unscale = (1 / scale).ToScalar();
        _count += count;
        ReadBackUnlessLike(denominators);

        Tensor magnitudes = denominators.abs();
        Replace(ref _pendingGuarded, magnitudes.lt(epsilon).sum(), static (x, y) => x.Plus(y));
        Replace(ref _pendingMin, magnitudes.min().mul_(unscale), static (x, y) => minimum(x, y));
    }

    /// <summary>Counts the outputs f, [..., L], of the same pass.</summary>
    internal void AddOutputs(Tensor outputs)
    {
        if (outputs.numel() == 0)
        {
            return;
        }

        using DisposeScope scope = NewDisposeScope();
        Replace(ref _pendingMax, outputs.abs().max(), static (x, y) => maximum(x, y));
    }

    private static void Replace(ref Tensor? pending, Tensor next, Func<Tensor, Tensor, Tensor> combine)
    {
        // Detached, because the sums outlive the scope of the step that is being counted.
        Tensor combined = (pending is null ? next : combine(pending, next)).DetachFromDisposeScope();
        pending?.Dispose();
        pending = combined;
    }

    // Sums of another device or type cannot be added to.
    private void ReadBackUnlessLike(Tensor tensor)
    {
        if (_pendingMin is not null && (!TensorMemory.IsOn(_pendingMin, tensor.device) || _pendingMin.dtype != tensor.dtype))
        {
            ReadBack();
        }
    }

    private void ReadBack()
    {
        if (_pendingMin is not null)
        {
            _minDenominator = Math.Min(_minDenominator, ToDouble(_pendingMin));
            _guarded += _pendingGuarded!.item<long>();
        }

        if (_pendingMax is not null)
        {
            _maxOutput = Math.Max(_maxOutput, ToDouble(_pendingMax));
        }

        ReleasePending();
    }

    private void ReleasePending()
    {
        _pendingGuarded?.Dispose();
        _pendingMin?.Dispose();
        _pendingMax?.Dispose();
        _pendingGuarded = null;
        _pendingMin = null;
        _pendingMax = null;
    }

    private static double ToDouble(Tensor value) =>
        value.dtype == ScalarType.Float64 ? value.item<double>() : value.item<float>();
}
