using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Native;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// The range that each ladder's output took in training, kept in the checkpoint. Outside training outputs are clipped to it, so that an
/// unseen input next to a pole cannot blow up (PAPER section 1).
/// </summary>
public sealed class OutputRange : nn.Module<Tensor, Tensor>
{
    // Nothing seen yet is low = +inf, high = -inf: the first minimum and maximum replace both.
    [ComponentName(Name = "low")]
    private readonly Tensor _low;

    [ComponentName(Name = "high")]
    private readonly Tensor _high;

    /// <summary>Creates an empty range.</summary>
    /// <param name="options">Where the buffers live.</param>
    /// <param name="shape">Shape of the trailing axes of the outputs that each have a range of their own.</param>
    public OutputRange(ModuleOptions options, params long[] shape)
        : base(nameof(OutputRange))
    {
        _low = options.Constant(double.PositiveInfinity, shape);
        _high = options.Constant(double.NegativeInfinity, shape);
        register_buffer("low", _low);
        register_buffer("high", _high);
        RegisterComponents();
    }

    /// <summary>The smallest output of each ladder in training, infinite before the first; the tensor itself.</summary>
    public Tensor Low => _low;

    /// <summary>The largest output of each ladder in training, minus infinity before the first; the tensor itself.</summary>
    public Tensor High => _high;

    /// <summary>Share of outputs that the last clipping changed; null before the first or when not asked for.</summary>
    public double? ClippedShare { get; private set; }

    /// <summary>Whether <see cref="ClippedShare"/> is computed, at the price of a pass over the outputs.</summary>
    public bool CountClipped { get; set; }

    /// <summary>In training widens the range by the outputs and returns them; otherwise returns them clipped.</summary>
    /// <param name="z">[.., shape].</param>
    public override Tensor forward(Tensor z) => forward(z, 0);

    /// <summary>As <see cref="forward(Tensor)"/>, for outputs that start at a position of the first ranged axis.</summary>
    /// <param name="z">[.., t, rest of shape] where t may be shorter than the first ranged axis.</param>
    /// <param name="offset">Position of the first output on the first ranged axis.</param>
    public Tensor forward(Tensor z, long offset)
    {
        using var scope = NewDisposeScope();
        var length = z.shape[^(int)_low.dim()];
        var low = _low.narrow(0, offset, length);
        var high = _high.narrow(0, offset, length);
        if (training)
        {
            Widen(z, low, high);
            return z.alias().MoveToOuterDisposeScope();
        }

        var seen = low <= high;
        var clipped = z.clamp(where(seen, low, -double.PositiveInfinity), where(seen, high, double.PositiveInfinity));
        if (CountClipped)
        {
            ClippedShare = clipped.ne(z).to(ScalarType.Float32).mean().item<float>();
        }

        return clipped.to(z.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Whether a kernel may widen or clip by itself: one range for each of the given number of neighbouring float32 values in memory.</summary>
    internal bool CanFuse(Tensor values, long ladders) =>
        values.dtype == ScalarType.Float32 && _low.dtype == ScalarType.Float32 && _low.device_type == values.device_type
        && !CountClipped && _low.numel() == ladders && _low.is_contiguous() && _high.is_contiguous();

    /// <summary>What a kernel shall do with the range; only where <see cref="CanFuse"/> allows it.</summary>
    internal unsafe LadderTracking Track(int groupSize, bool countsPoles) => new()
    {
        RangeUse = training ? RangeUse.Widen : RangeUse.Clip,
        Low = (float*)TensorMemory.Pointer(_low),
        High = (float*)TensorMemory.Pointer(_high),
        GroupSize = groupSize,
        CountsPoles = countsPoles,
    };

    private static void Widen(Tensor z, Tensor low, Tensor high)
    {
        using var quiet = no_grad();
        // No reshape: on a permuted view it would copy everything.
        var values = z.dim() == low.dim() ? z.detach().unsqueeze(0) : z.detach();
        var lead = Enumerable.Range(0, (int)(values.dim() - low.dim())).Select(axis => (long)axis).ToArray();
        low.copy_(minimum(low, values.amin(lead)));
        high.copy_(maximum(high, values.amax(lead)));
    }
}
