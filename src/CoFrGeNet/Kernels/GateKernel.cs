using System.Runtime.CompilerServices;
using CoFrGeNet.Configuration;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

/// <summary>
/// The gated input of a <c>Cffn</c>, y = x (.) s(g) with s = SiLU (also of the product gate, whose x is a map of the input) or sigmoid, and its gradients in one pass each: nothing between g and y is
/// written to memory. Computed in float32; g may be bfloat16.
/// </summary>
internal static unsafe class GateKernel
{
    private const int BlockSize = 1 << 14;

    /// <summary>y of x and g, n elements each.</summary>
    /// <param name="kind">s.</param>
    /// <param name="x">The input, [n].</param>
    /// <param name="gate">g, [n], of the given type.</param>
    /// <param name="gateType">The type of g.</param>
    /// <param name="y">Receives x (.) s(g), [n].</param>
    /// <param name="count">n.</param>
    /// <param name="threads">Most threads to use.</param>
    /// <param name="width">The register width; null: the best.</param>
    public static void Forward(GateKind kind, float* x, void* gate, ElementType gateType, float* y, long count, int threads, SimdWidth? width = null) =>
        Run(new Call(kind, x, gate, y, null, null, count), gateType, threads, width);

    /// <summary>The gradients for x and g from that for y.</summary>
    /// <param name="kind">s.</param>
    /// <param name="x">The input, [n].</param>
    /// <param name="gate">g, [n], of the given type.</param>
    /// <param name="gateType">The type of g and of its gradient.</param>
    /// <param name="gradY">The gradient for y, [n].</param>
    /// <param name="gradX">Receives that for x, [n].</param>
    /// <param name="gradGate">Receives that for g, [n].</param>
    /// <param name="count">n.</param>
    /// <param name="threads">Most threads to use.</param>
    /// <param name="width">The register width; null: the best.</param>
    public static void Backward(
        GateKind kind, float* x, void* gate, ElementType gateType, float* gradY, float* gradX, void* gradGate, long count, int threads, SimdWidth? width = null) =>
        Run(new Call(kind, x, gate, gradY, gradX, gradGate, count), gateType, threads, width);

    private static void Run(Call call, ElementType gateType, int threads, SimdWidth? width)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(call.Count, "count");
        LaneWork.Run(call, (int)((call.Count + BlockSize - 1) / BlockSize), gateType, threads, width);
    }

    // y is its gradient where there is a gradX to fill.
    private sealed class Call(GateKind kind, float* x, void* gate, float* y, float* gradX, void* gradGate, long count) : ILaneWork
    {
        public long Count => count;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Piece<TLanes, TGate>(int piece)
            where TLanes : unmanaged, ILanes<TLanes>
            where TGate : unmanaged
        {
            bool isSilu = kind != GateKind.Sigmoid, isBackward = gradX != null;
            TLanes one = TLanes.Of(1);
            long end = Math.Min(count, (piece + 1L) * BlockSize);
            for (long i = (long)piece * BlockSize; i < end; i += TLanes.Count)
            {
                int lanes = (int)Math.Min(TLanes.Count, end - i);
                TLanes input = LaneMemory<TLanes, float>.LoadFirst(x + i, lanes);
                TLanes g = LaneMemory<TLanes, TGate>.LoadFirst((TGate*)gate + i, lanes);
                TLanes sigmoid = one / (one + TLanes.Exp(-g));
                TLanes value = isSilu ? g * sigmoid : sigmoid;
                if (!isBackward)
                {
                    LaneMemory<TLanes, float>.StoreFirst(input * value, y + i, lanes);
                    continue;
                }

                // s' = sigma (1 - sigma), of SiLU sigma (1 + g (1 - sigma)).
                TLanes rest = one - sigmoid;
                TLanes slope = sigmoid * (isSilu ? TLanes.MultiplyAdd(g, rest, one) : rest);
                TLanes upstream = LaneMemory<TLanes, float>.LoadFirst(y + i, lanes);
                LaneMemory<TLanes, float>.StoreFirst(upstream * value, gradX + i, lanes);
                LaneMemory<TLanes, TGate>.StoreFirst(upstream * input * slope, (TGate*)gradGate + i, lanes);
            }
        }
    }
}
