using CoFrGeNet.Configuration;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

// Dimensions: N = rows (tokens), p = width, d = depth, L = number of ladders.

/// <summary>The sizes of <see cref="ElementwiseLadders"/>.</summary>
/// <param name="Rows">N.</param>
/// <param name="Width">p.</param>
/// <param name="Depth">d.</param>
/// <param name="Ladders">L.</param>
internal readonly record struct ElementwiseSize(long Rows, int Width, int Depth, int Ladders);

/// <summary>The parameters of elementwise ladders, or their gradients; float32.</summary>
internal readonly unsafe struct ElementwiseWeights
{
    /// <summary>w [d, L, p].</summary>
    public float* Levels { get; init; }

    /// <summary>Biases [d, L, p]; null where there are none.</summary>
    public float* Biases { get; init; }

    /// <summary>V [L, p].</summary>
    public float* Combine { get; init; }
}

/// <summary>
/// Elementwise ladders straight from their input, summed: y = sum over l of V_l f(w_l1 g, .., w_ld g), coordinate by coordinate. Nothing of
/// size N p d L or N p L is ever in memory. Several threads; the work is cut by its size alone, so that the results do not depend on their number.
/// </summary>
internal static unsafe class ElementwiseLadders
{
    /// <summary>y [N, p] of g [N, p].</summary>
    /// <param name="size">The sizes.</param>
    /// <param name="g">The input, of the given type.</param>
    /// <param name="type">Its type.</param>
    /// <param name="weights">The parameters.</param>
    /// <param name="y">Receives the sums, float32.</param>
    /// <param name="guard">How poles are guarded.</param>
    /// <param name="tracking">What is noted on the way; its ranges are [L, p] and its group size p. Null: nothing.</param>
    /// <param name="threads">Most threads to use.</param>
    /// <param name="width">The register width; null: the best.</param>
    public static void Forward(
        ElementwiseSize size, void* g, ElementType type, ElementwiseWeights weights, float* y, PoleGuard guard, LadderTracking? tracking, int threads,
        SimdWidth? width = null)
    {
        using var call = new ElementwiseCall(size, LadderConstants.Of(size.Depth, guard)) { G = g, Weights = weights, Y = y, Tracking = tracking };
        Dispatch(call, type, threads, width ?? SimdWidths.Best, forward: true);
    }

    /// <summary>The gradients for g and the parameters, from the gradient for y.</summary>
    /// <param name="size">The sizes.</param>
    /// <param name="g">The input, of the given type.</param>
    /// <param name="type">Its type and that of its gradient.</param>
    /// <param name="weights">The parameters.</param>
    /// <param name="gradY">The gradient for y, float32.</param>
    /// <param name="gradG">Receives the gradient for g.</param>
    /// <param name="gradients">Receives the gradients for the parameters.</param>
    /// <param name="guard">How poles are guarded.</param>
    /// <param name="threads">Most threads to use.</param>
    /// <param name="width">The register width; null: the best.</param>
    public static void Backward(
        ElementwiseSize size, void* g, ElementType type, ElementwiseWeights weights, float* gradY, void* gradG, ElementwiseWeights gradients,
        PoleGuard guard, int threads, SimdWidth? width = null)
    {
        using var call = new ElementwiseCall(size, LadderConstants.Of(size.Depth, guard)) { G = g, Weights = weights, Y = gradY, GradG = gradG };
        call.AllocateParts();
        Dispatch(call, type, threads, width ?? SimdWidths.Best, forward: false);
        call.SumParts(gradients, threads);
    }

    private static void Dispatch(ElementwiseCall call, ElementType type, int threads, SimdWidth width, bool forward)
    {
        switch (width)
        {
            case SimdWidth.Sixteen: Dispatch<Lanes512>(call, type, threads, forward); break;
            case SimdWidth.Eight: Dispatch<Lanes256>(call, type, threads, forward); break;
            case SimdWidth.Four: Dispatch<Lanes128>(call, type, threads, forward); break;
            default: Dispatch<LanesScalar>(call, type, threads, forward); break;
        }
    }

    private static void Dispatch<TLanes>(ElementwiseCall call, ElementType type, int threads, bool forward)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        switch (call.Constants.Guard)
        {
            case ClampGuard: Dispatch<TLanes, ClampKind>(call, type, threads, forward); break;
            case SmoothGuard: Dispatch<TLanes, SmoothKind>(call, type, threads, forward); break;
            default: Dispatch<TLanes, PositiveKind>(call, type, threads, forward); break;
        }
    }

    private static void Dispatch<TLanes, TGuard>(ElementwiseCall call, ElementType type, int threads, bool forward)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
    {
        Action<int> run = (type, forward) switch
        {
            (ElementType.Float32, true) => call.ForwardPiece<TLanes, TGuard, float>,
            (ElementType.Float32, false) => call.BackwardPiece<TLanes, TGuard, float>,
            (_, true) => call.ForwardPiece<TLanes, TGuard, ushort>,
            (_, false) => call.BackwardPiece<TLanes, TGuard, ushort>,
        };
        RowPartition.Run(call.Pieces, threads, run);
    }
}
