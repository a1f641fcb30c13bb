using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

// Dimensions: ... = any leading dimensions, N = their product, d = depth, L = number of ladders, k = level (1 = outermost).

/// <summary>Forward and backward of <see cref="LadderFunction"/> by <see cref="ProjectedLadders"/>: tensors on the CPU in float32 or bfloat16.</summary>
internal static unsafe class FusedLadders
{
    /// <summary>Whether a kernel for this device and type exists and is not switched off.</summary>
    public static bool CanRun(Tensor a) =>
        LadderFunction.Backend == LadderBackend.Fused
        && a.device_type == DeviceType.CPU
        && a.dtype is ScalarType.Float32 or ScalarType.BFloat16;

    /// <summary>f [..., L] of a [..., d, L], in a's type.</summary>
    public static Tensor Forward(Tensor a, PoleGuard guard, PoleStatistics? statistics, OutputRange? outputs)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor source, LadderLayout layout) = LadderMemory.Readable(a);
        Tensor f = LadderMemory.Values(a);
        LadderTracking? tracking = Tracking(statistics, outputs, layout.Ladders);
        if (tracking is null)
        {
            layout = LadderMemory.Collapsed(layout);
        }

        if (f.numel() > 0)
        {
            ProjectedLadders.Forward(
                layout, TensorMemory.Pointer(source), TensorMemory.Pointer(f), TensorMemory.ElementTypeOf(a), guard, tracking, get_num_threads());
            statistics?.Add(f.numel(), tracking!, LadderConstants.Of(layout.Depth, guard).Start);
        }

        return f.MoveToOuterDisposeScope();
    }

    /// <summary>The gradient for a [..., d, L], laid out in memory as a is: levels outermost, or innermost but one.</summary>
    public static Tensor Backward(Tensor a, PoleGuard guard, Tensor gradOutput)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor source, LadderLayout layout) = LadderMemory.Readable(a);
        Tensor upstream = gradOutput.to_type(a.dtype).contiguous();
        (Tensor gradient, LadderLayout gradientLayout) = LadderMemory.Gradient(a, layout);
        if (gradient.numel() > 0)
        {
            (layout, gradientLayout) = LadderMemory.Collapsed(layout, gradientLayout);
            ProjectedLadders.Backward(
                layout,
                TensorMemory.Pointer(source),
                TensorMemory.Pointer(upstream),
                TensorMemory.Pointer(gradient),
                gradientLayout,
                TensorMemory.ElementTypeOf(a),
                guard,
                get_num_threads());
        }

        return gradient.MoveToOuterDisposeScope();
    }

    private static LadderTracking? Tracking(PoleStatistics? statistics, OutputRange? outputs, int ladders) => statistics is null && outputs is null
        ? null
        : outputs is null ? new LadderTracking { CountsPoles = true } : outputs.Track(ladders, statistics is not null);
}
