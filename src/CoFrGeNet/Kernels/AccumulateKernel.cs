using System.Runtime.CompilerServices;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

/// <summary>sum += x for a float32 sum and x in bfloat16, in one pass: x is not made float32 in memory first.</summary>
internal static unsafe class AccumulateKernel
{
    private const int BlockSize = 1 << 15;

    /// <summary>Adds n elements.</summary>
    /// <param name="x">bfloat16, [n].</param>
    /// <param name="sum">[n], changed.</param>
    /// <param name="count">n.</param>
    /// <param name="threads">Most threads to use.</param>
    /// <param name="width">The register width; null: the best.</param>
    public static void Add(ushort* x, float* sum, long count, int threads, SimdWidth? width = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        LaneWork.Run(new Call(x, sum, count), (int)((count + BlockSize - 1) / BlockSize), ElementType.BFloat16, threads, width);
    }

    private sealed class Call(ushort* x, float* sum, long count) : ILaneWork
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Piece<TLanes, TElement>(int piece)
            where TLanes : unmanaged, ILanes<TLanes>
            where TElement : unmanaged
        {
            long end = Math.Min(count, (piece + 1L) * BlockSize);
            for (long i = (long)piece * BlockSize; i < end; i += TLanes.Count)
            {
                int lanes = (int)Math.Min(TLanes.Count, end - i);
                TLanes value = LaneMemory<TLanes, float>.LoadFirst(sum + i, lanes) + LaneMemory<TLanes, TElement>.LoadFirst((TElement*)x + i, lanes);
                LaneMemory<TLanes, float>.StoreFirst(value, sum + i, lanes);
            }
        }
    }
}
