using System.Runtime.CompilerServices;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Inference;

/// <summary>float32 weights.</summary>
internal readonly unsafe struct Float32Dot<TLanes> : IRowDot<TLanes, TLanes>
    where TLanes : unmanaged, ILanes<TLanes>
{
    public static int Inputs
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => 2 * TLanes.Count;
    }

    public static int Bytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Inputs * sizeof(float);
    }

    public static int ValueBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => sizeof(float);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Load(byte* x) => TLanes.Load((float*)x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Add(TLanes sum, byte* weights, TLanes first, TLanes second) =>
        TLanes.MultiplyAdd(TLanes.Load((float*)weights + TLanes.Count), second, TLanes.MultiplyAdd(TLanes.Load((float*)weights), first, sum));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Sums(TLanes a, TLanes b, TLanes c, TLanes d, float* sums) => TLanes.Sums(a, b, c, d, sums);

    public static float Rest(byte* weights, byte* x, int first, int inputs)
    {
        var sum = 0f;
        for (var k = first; k < inputs; k++)
        {
            sum += ((float*)weights)[k] * ((float*)x)[k];
        }

        return sum;
    }
}
