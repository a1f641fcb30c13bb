using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Torch.Cuda;

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
        OutputRange? fusedOutputs = outputs is not null && outputs.CanFuse(a, a.size(-1)) ? outputs : null;
        Tensor? fused = CudaLadders.For(a) is { } cuda ? cuda.Forward(a, guard, statistics, fusedOutputs)
            : FusedLadders.CanRun(a) ? FusedLadders.Forward(a, guard, statistics, fusedOutputs)
            : null;
        Tensor f = fused ?? ComposedLadders.Forward(a, guard, range, statistics);
        if (outputs is null || (fused is not null && fusedOutputs is not null))
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
        CudaLadders.For(a) is { } cuda ? cuda.Backward(a, guard, gradOutput) ?? ComposedLadders.Backward(a, guard, range, gradOutput)
        : FusedLadders.CanRun(a) ? FusedLadders.Backward(a, guard, gradOutput)
        : ComposedLadders.Backward(a, guard, range, gradOutput);
}
