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
        (Tensor source, LadderLayout layout) = Readable(a);
        Tensor f = empty(WithoutLevels(a.shape), dtype: a.dtype);
        LadderTracking? tracking = Tracking(statistics, outputs, layout.Ladders);
        if (tracking is null)
        {
            layout = Collapsed(layout);
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
        (Tensor source, LadderLayout layout) = Readable(a);
        Tensor upstream = gradOutput.to_type(a.dtype).contiguous();
        bool isLevelOutermost = a.dim() > 2 && layout.Rows > 1 && layout.LevelStride >= layout.Rows * layout.Ladders;
        long[] lead = a.shape[..^2];
        Tensor gradient = isLevelOutermost
            ? empty([layout.Depth, .. lead, layout.Ladders], dtype: a.dtype).movedim([0], [-2])
            : empty(a.shape, dtype: a.dtype);
        LadderLayout gradientLayout = layout with
        {
            RowStride = isLevelOutermost ? layout.Ladders : (long)layout.Depth * layout.Ladders,
            LevelStride = isLevelOutermost ? layout.Rows * layout.Ladders : layout.Ladders,
        };
        if (gradient.numel() > 0)
        {
            bool isCollapsible = Collapsed(layout).Rows == Collapsed(gradientLayout).Rows;
            ProjectedLadders.Backward(
                isCollapsible ? Collapsed(layout) : layout,
                TensorMemory.Pointer(source),
                TensorMemory.Pointer(upstream),
                TensorMemory.Pointer(gradient),
                isCollapsible ? Collapsed(gradientLayout) : gradientLayout,
                TensorMemory.ElementTypeOf(a),
                guard,
                get_num_threads());
        }

        return gradient.MoveToOuterDisposeScope();
    }

    private static LadderTracking? Tracking(PoleStatistics? statistics, OutputRange? outputs, int ladders) => statistics is null && outputs is null
        ? null
        : outputs is null ? new LadderTracking { CountsPoles = true } : outputs.Track(ladders, statistics is not null);

    private static long[] WithoutLevels(long[] shape) => [.. shape[..^2], shape[^1]];

    // a as it is where rows are evenly spaced and the ladders of a level neighbours; a copy of it otherwise.
    private static (Tensor Source, LadderLayout Layout) Readable(Tensor a)
    {
        long[] shape = a.shape;
        int depth = (int)shape[^2], ladders = checked((int)shape[^1]);
        long rows = 1, rowStride = 0;
        bool isRegular = ladders <= 1 || a.stride(-1) == 1;
        for (int axis = shape.Length - 3; axis >= 0 && isRegular; axis--)
        {
            if (shape[axis] == 1)
            {
                continue;
            }

            isRegular = rows == 1 || a.stride(axis) == rowStride * rows;
            rowStride = rows == 1 ? a.stride(axis) : rowStride;
            rows *= shape[axis];
        }

        if (isRegular)
        {
            return (a, new LadderLayout(rows, depth, ladders, rowStride, a.stride(-2)));
        }

        rows = shape[..^2].Aggregate(1L, (product, size) => product * size);
        return (a.contiguous(), new LadderLayout(rows, depth, ladders, (long)depth * ladders, ladders));
    }

    // Rows that follow each other without a gap are one long row.
    private static LadderLayout Collapsed(LadderLayout layout) =>
        layout.Rows > 1 && layout.RowStride == layout.Ladders && layout.Rows * layout.Ladders <= int.MaxValue - 64
            ? layout with { Rows = 1, Ladders = (int)(layout.Rows * layout.Ladders) }
            : layout;
}
