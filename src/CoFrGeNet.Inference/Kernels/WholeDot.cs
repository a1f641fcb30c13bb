using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Inference;

// Dimensions: K = inputs.

/// <summary>
/// int8 weights in whole numbers: x is rounded to 16 bits with one step a row, pairs of products are summed up exactly in 32 bits. A third of the work of widening
/// weights to float32; the rounding of x is far below that of the weights. With AVX-512 only.
/// </summary>
internal readonly unsafe struct WholeDot : IRowDot<Vector512<int>, Vector512<short>>
{
    private const int Half = 32;

    /// <summary>Whether this processor can.</summary>
    public static bool IsSupported => Avx512BW.IsSupported;

    public static int Inputs
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => 2 * Half;
    }

    public static int Bytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Inputs;
    }

    public static int ValueBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => sizeof(short);
    }

    /// <summary>Rounds a row.</summary>
    /// <param name="x">The row, [K].</param>
    /// <param name="inputs">K.</param>
    /// <param name="rounded">Receives whole numbers, [K].</param>
    /// <returns>The step: what one counts.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Round(float* x, int inputs, short* rounded)
    {
        var vectors = inputs / Vector512<float>.Count * Vector512<float>.Count;
        var largest = Vector512<float>.Zero;
        for (var k = 0; k < vectors; k += Vector512<float>.Count)
        {
            largest = Vector512.Max(largest, Vector512.Abs(Vector512.Load(x + k)));
        }

        var most = 0f;
        for (var i = 0; i < Vector512<float>.Count; i++)
        {
            most = MathF.Max(most, largest[i]);
        }

        for (var k = vectors; k < inputs; k++)
        {
            most = MathF.Max(most, MathF.Abs(x[k]));
        }

        // So many pairs of products meet in a lane; their sum must stay in 32 bits.
        var pairs = (inputs / Half) + 2;
        var steps = Math.Min(short.MaxValue, int.MaxValue / (2 * 127 * pairs));
        var factor = most > 0 ? steps / most : 0;
        for (var k = 0; k < vectors; k += Vector512<float>.Count)
        {
            var whole = Avx512F.ConvertToVector512Int32(Vector512.Load(x + k) * Vector512.Create(factor));
            Avx512F.ConvertToVector256Int16WithSaturation(whole).Store(rounded + k);
        }

        for (var k = vectors; k < inputs; k++)
        {
            rounded[k] = (short)MathF.Round(x[k] * factor);
        }

        return most / steps;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> Load(byte* x) => Vector512.Load((short*)x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Add(Vector512<int> sum, byte* weights, Vector512<short> first, Vector512<short> second) =>
        sum + Products(weights, first) + Products(weights + Half, second);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Sums(Vector512<int> a, Vector512<int> b, Vector512<int> c, Vector512<int> d, float* sums) =>
        Lanes512.Sums(Vector512.ConvertToSingle(a), Vector512.ConvertToSingle(b), Vector512.ConvertToSingle(c), Vector512.ConvertToSingle(d), sums);

    public static float Rest(byte* weights, byte* x, int first, int inputs)
    {
        var sum = 0;
        for (var k = first; k < inputs; k++)
        {
            sum += ((sbyte*)weights)[k] * ((short*)x)[k];
        }

        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Products(byte* weights, Vector512<short> x) =>
        Avx512BW.MultiplyAddAdjacent(Avx512BW.ConvertToVector512Int16(Vector256.Load((sbyte*)weights)), x);
}
