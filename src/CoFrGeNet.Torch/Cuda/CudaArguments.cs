using System.Runtime.InteropServices;
using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;

namespace CoFrGeNet.Torch.Cuda;

// The structures of ladder.cu, projected.cu and elementwise.cu, member by member: what a kernel is launched with.

/// <summary><see cref="LadderConstants"/> as a kernel takes them.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CudaConstants
{
    public float Bound, Start, Epsilon, EpsilonSquare, MaxGradient;
    public int SaturatedLevels;

    public static CudaConstants Of(int depth, PoleGuard guard)
    {
        LadderConstants constants = LadderConstants.Of(depth, guard);
        return new CudaConstants
        {
            Bound = constants.Bound,
            Start = constants.Start,
            Epsilon = constants.Epsilon,
            EpsilonSquare = constants.EpsilonSquare,
            MaxGradient = constants.MaxGradient,
            SaturatedLevels = constants.SaturatedLevels,
        };
    }
}

/// <summary>What a forward pass notes about its ladders on the way, in memory of the device; all zero: nothing.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CudaTracking
{
    /// <summary>Cells that guarded denominators are counted in.</summary>
    public const int CountCells = 256;

    /// <summary>One lower and one upper end a ladder.</summary>
    public float* Low, High;

    /// <summary>Numbers of |K_d| &lt; eps, [<see cref="CountCells"/>], added to; null: poles are not counted.</summary>
    public ulong* Guarded;

    /// <summary>The smallest |K_d| with K_0 = 1, lowered; NaN once a K_d is.</summary>
    public float* MinDenominator;

    /// <summary>The largest |f| before clipping, raised; NaN once an f is.</summary>
    public float* MaxOutput;

    /// <summary>A <see cref="CoFrGeNet.Kernels.RangeUse"/>.</summary>
    public long RangeUse;
}

/// <summary>The argument of the kernels of projected.cu.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ProjectedArguments
{
    public void* A, GradF, F, GradA;
    public long Rows, Ladders, RowStride, LevelStride, GradRowStride, GradLevelStride, ChunkRows, TileWidth;
    public CudaTracking Tracking;
    public CudaConstants Constants;
}

/// <summary>The argument of the kernels of elementwise.cu.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ElementwiseArguments
{
    public void* G;
    public float* Levels, Biases, Combine, GradY, Y;
    public void* GradG;
    public float* Parts, GradLevels, GradBiases, GradCombine;
    public long Rows, Width, Ladders, ChunkRows, Chunks;
    public CudaTracking Tracking;
    public CudaConstants Constants;
}
