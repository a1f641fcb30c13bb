using System.Runtime.CompilerServices;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Inference;

/// <summary>
/// bfloat16 weights. Two neighbours lie in 32 bits, of which each is a half in place: one shift or one mask makes a register of float32. So x is split, the even ones of
/// a step's values first.
/// </summary>
internal readonly unsafe struct BFloat16Dot<TLanes> : IRowDot<TLanes, TLanes>
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
        get => Inputs * sizeof(ushort);
    }

    public static int ValueBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => sizeof(float);
    }

    /// <summary>Splits a row; behind the last whole step it stays as it is.</summary>
    /// <param name="x">The row, [K].</param>
    /// <param name="inputs">K.</param>
    /// <param name="split">Receives it, [K].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Split(float* x, int inputs, float* split)
    {
        var steps = inputs / Inputs * Inputs;
        for (var k = 0; k < steps; k += Inputs)
        {
            for (var i = 0; i < TLanes.Count; i++)
            {
                split[k + i] = x[k + (2 * i)];
                split[k + TLanes.Count + i] = x[k + (2 * i) + 1];
            }
        }

        new ReadOnlySpan<float>(x + steps, inputs - steps).CopyTo(new Span<float>(split + steps, inputs - steps));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Load(byte* x) => TLanes.Load((float*)x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Add(TLanes sum, byte* weights, TLanes first, TLanes second) =>
        TLanes.MultiplyAdd(TLanes.LoadOddBFloat16((ushort*)weights), second, TLanes.MultiplyAdd(TLanes.LoadEvenBFloat16((ushort*)weights), first, sum));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Sums(TLanes a, TLanes b, TLanes c, TLanes d, float* sums) => TLanes.Sums(a, b, c, d, sums);

    public static float Rest(byte* weights, byte* x, int first, int inputs)
    {
        var sum = 0f;
        for (var k = first; k < inputs; k++)
        {
            sum += BitConverter.UInt32BitsToSingle((uint)((ushort*)weights)[k] << 16) * ((float*)x)[k];
        }

        return sum;
    }
}
