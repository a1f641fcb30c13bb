using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;

namespace CoFrGeNet.Torch;

// Dimensions: ... = any leading dimensions, d = depth, L = number of ladders.

/// <summary>
/// Forward and backward of <see cref="LadderFunction"/> on tensors, without autograd: fused where a kernel for device and type exists,
/// composed of tensor operations elsewhere. Both give the same up to rounding.
/// </summary>
internal static class LadderKernel
{
    /// <summary>f [..., L] of a [..., d, L], in a's type; widens or is clipped to the outputs' range where one is given.</summary>
    public static Tensor Forward(Tensor a, PoleGuard guard, LadderRange range, PoleStatistics? statistics, OutputRange? outputs = null)
    {
        bool isFused = FusedLadders.CanRun(a);
        bool isRangeFused = isFused && outputs is not null && outputs.CanFuse(a, a.size(-1));
        Tensor f = isFused
            ? FusedLadders.Forward(a, guard, statistics, isRangeFused ? outputs : null)
            : ComposedLadders.Forward(a, guard, range, statistics);
        if (outputs is null || isRangeFused)
        {
            return f;
        }

        using (f)
        {
            return outputs.forward(f);
        }
    }

    /// <summary>The gradient for a [..., d, L], given the gradient for f [..., L]; in a's type.</summary>
    public static Tensor Backward(Tensor a, PoleGuard guard, LadderRange range, Tensor gradOutput) =>
        FusedLadders.CanRun(a) ? FusedLadders.Backward(a, guard, gradOutput) : ComposedLadders.Backward(a, guard, range, gradOutput);
}
