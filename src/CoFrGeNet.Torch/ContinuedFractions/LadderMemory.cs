using CoFrGeNet.Kernels;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

// Dimensions: ... = any leading dimensions, N = their product, d = depth, L = number of ladders.

/// <summary>Partial denominators [..., d, L], values and gradients as kernels take them: rows at equal distances on any device.</summary>
internal static class LadderMemory
{
    /// <summary>Room for f [..., L] of a [..., d, L], of its type and on its device.</summary>
    public static Tensor Values(Tensor a) => empty([.. a.shape[..^2], a.shape[^1]], dtype: a.dtype, device: a.device);

    /// <summary>Room for the gradient for a [..., d, L], laid out in memory as a is: levels outermost, or innermost but one.</summary>
    public static (Tensor Gradient, LadderLayout Layout) Gradient(Tensor a, LadderLayout layout)
    {
        bool isLevelOutermost = a.dim() > 2 && layout.Rows > 1 && layout.LevelStride >= layout.Rows * layout.Ladders;
        Tensor gradient = isLevelOutermost
            ? empty([layout.Depth, .. a.shape[..^2], layout.Ladders], dtype: a.dtype, device: a.device).movedim([0], [-2])
            : empty(a.shape, dtype: a.dtype, device: a.device);
        return (gradient, layout with
        {
            RowStride = isLevelOutermost ? layout.Ladders : (long)layout.Depth * layout.Ladders,
            LevelStride = isLevelOutermost ? layout.Rows * layout.Ladders : layout.Ladders,
        });
    }

    /// <summary>a as it is where rows are evenly spaced and the ladders of a level neighbours; a copy of it otherwise.</summary>
    public static (Tensor Source, LadderLayout Layout) Readable(Tensor a)
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

    /// <summary>Rows that follow each other without a gap are one long row.</summary>
    public static LadderLayout Collapsed(LadderLayout layout) =>
        layout.Rows > 1 && layout.RowStride == layout.Ladders && layout.Rows * layout.Ladders <= int.MaxValue - 64
            ? layout with { Rows = 1, Ladders = (int)(layout.Rows * layout.Ladders) }
            : layout;

    /// <summary>The same for a and its gradient together: both or none.</summary>
    public static (LadderLayout Layout, LadderLayout Gradient) Collapsed(LadderLayout layout, LadderLayout gradient)
    {
        (LadderLayout one, LadderLayout other) = (Collapsed(layout), Collapsed(gradient));
        return one.Rows == other.Rows ? (one, other) : (layout, gradient);
    }
}
