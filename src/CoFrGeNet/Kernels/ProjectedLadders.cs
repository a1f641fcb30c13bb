using CoFrGeNet.Configuration;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

// Dimensions: N = rows (tokens), d = depth, L = number of ladders.

/// <summary>Where the partial denominators a [N, d, L] lie, in elements: the ladders of a level are neighbours, rows and levels may be anywhere.</summary>
/// <param name="Rows">N.</param>
/// <param name="Depth">d.</param>
/// <param name="Ladders">L.</param>
/// <param name="RowStride">From a row to the next.</param>
/// <param name="LevelStride">From a level to the next.</param>
internal readonly record struct LadderLayout(long Rows, int Depth, int Ladders, long RowStride, long LevelStride);

/// <summary>The type of the numbers in memory; kernels compute in float32.</summary>
internal enum ElementType
{
    /// <summary>float32.</summary>
    Float32,

    /// <summary>bfloat16.</summary>
    BFloat16,
}

/// <summary>
/// Ladders on given partial denominators: forward and backward in one pass over memory each, on several threads. The results do not
/// depend on the number of threads.
/// </summary>
internal static unsafe class ProjectedLadders
{
    // Below this many partial denominators a second thread costs more than it brings.
    private const long PieceElements = 1 << 15;

    // Beyond the caches, storing past them saves reading the destination first.
    private const long NonTemporalBytes = 16L << 20;

    /// <summary>f [N, L] of a.</summary>
    /// <param name="layout">Where a lies.</param>
    /// <param name="a">Partial denominators of the given type.</param>
    /// <param name="f">Receives the values, rows one behind the other, of the same type.</param>
    /// <param name="type">The type of a and f.</param>
    /// <param name="guard">How poles are guarded.</param>
    /// <param name="tracking">What is noted on the way; null: nothing. Its ranges have L elements.</param>
    /// <param name="threads">Most threads to use.</param>
    /// <param name="width">The register width; null: the best.</param>
    public static void Forward(
        LadderLayout layout, void* a, void* f, ElementType type, PoleGuard guard, LadderTracking? tracking, int threads, SimdWidth? width = null)
    {
        var call = new ProjectedCall(layout, LadderConstants.Of(layout.Depth, guard), threads) { A = a, F = f, Tracking = tracking };
        call.StoresPastCaches = IsLarge(layout.Rows * layout.Ladders, type);
        Dispatch(call, type, width ?? SimdWidths.Best, forward: true);
    }

    /// <summary>The gradient for a from the gradient for f [N, L].</summary>
    /// <param name="layout">Where a lies.</param>
    /// <param name="a">Partial denominators of the given type.</param>
    /// <param name="gradF">The gradient for f, rows one behind the other, of the same type.</param>
    /// <param name="gradA">Receives the gradient for a.</param>
    /// <param name="gradLayout">Where it lies: a's sizes, strides of its own.</param>
    /// <param name="type">The type of all three.</param>
    /// <param name="guard">How poles are guarded.</param>
    /// <param name="threads">Most threads to use.</param>
    /// <param name="width">The register width; null: the best.</param>
    public static void Backward(
        LadderLayout layout, void* a, void* gradF, void* gradA, LadderLayout gradLayout, ElementType type, PoleGuard guard, int threads,
        SimdWidth? width = null)
    {
        var call = new ProjectedCall(layout, LadderConstants.Of(layout.Depth, guard), threads) { A = a, F = gradF, GradA = gradA, GradLayout = gradLayout };
        call.StoresPastCaches = IsLarge(layout.Rows * layout.Ladders * layout.Depth, type);
        Dispatch(call, type, width ?? SimdWidths.Best, forward: false);
    }

    /// <summary>How a call is cut: rows a piece and ladders a piece.</summary>
    internal static (long Rows, int Ladders) PieceSize(LadderLayout layout, int threads)
    {
        long rowElements = (long)layout.Depth * layout.Ladders;
        if (layout.Rows >= 4L * threads)
        {
            return (Math.Max(Math.Max(1, PieceElements / Math.Max(1, rowElements)), layout.Rows / (16L * threads)), Math.Max(1, layout.Ladders));
        }

        // Few long rows: whole cache lines of ladders.
        int ladders = (int)Math.Max(Math.Max(64, PieceElements / layout.Depth), layout.Ladders / (16L * threads)) / 64 * 64;
        return (1, ladders);
    }

    private static bool IsLarge(long elements, ElementType type) => type == ElementType.Float32 && elements * sizeof(float) >= NonTemporalBytes;

    private static void Dispatch(ProjectedCall call, ElementType type, SimdWidth width, bool forward)
    {
        if (call.Layout.Rows == 0 || call.Layout.Ladders == 0)
        {
            return;
        }

        switch (width)
        {
            case SimdWidth.Sixteen: Dispatch<Lanes512>(call, type, forward); break;
            case SimdWidth.Eight: Dispatch<Lanes256>(call, type, forward); break;
            case SimdWidth.Four: Dispatch<Lanes128>(call, type, forward); break;
            default: Dispatch<LanesScalar>(call, type, forward); break;
        }
    }

    private static void Dispatch<TLanes>(ProjectedCall call, ElementType type, bool forward)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        switch (call.Constants.Guard)
        {
            case ClampGuard: Dispatch<TLanes, ClampKind>(call, type, forward); break;
            case SmoothGuard: Dispatch<TLanes, SmoothKind>(call, type, forward); break;
            default: Dispatch<TLanes, PositiveKind>(call, type, forward); break;
        }
    }

    private static void Dispatch<TLanes, TGuard>(ProjectedCall call, ElementType type, bool forward)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
    {
        Action<int> run = call.Layout.Depth switch
        {
            1 => Choose<TLanes, TGuard, Depth1>(call, type, forward),
            2 => Choose<TLanes, TGuard, Depth2>(call, type, forward),
            3 => Choose<TLanes, TGuard, Depth3>(call, type, forward),
            4 => Choose<TLanes, TGuard, Depth4>(call, type, forward),
            5 => Choose<TLanes, TGuard, Depth5>(call, type, forward),
            6 => Choose<TLanes, TGuard, Depth6>(call, type, forward),
            7 => Choose<TLanes, TGuard, Depth7>(call, type, forward),
            8 => Choose<TLanes, TGuard, Depth8>(call, type, forward),
            _ => Choose<TLanes, TGuard, AnyDepth>(call, type, forward),
        };
        RowPartition.Run(call.Pieces, call.Threads, run);
    }

    private static Action<int> Choose<TLanes, TGuard, TDepth>(ProjectedCall call, ElementType type, bool forward)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
        where TDepth : struct, IDepth => (type, forward) switch
        {
            (ElementType.Float32, true) => call.ForwardPiece<TLanes, TGuard, TDepth, float>,
            (ElementType.Float32, false) => call.BackwardPiece<TLanes, TGuard, TDepth, float>,
            (_, true) => call.ForwardPiece<TLanes, TGuard, TDepth, ushort>,
            (_, false) => call.BackwardPiece<TLanes, TGuard, TDepth, ushort>,
        };
}
