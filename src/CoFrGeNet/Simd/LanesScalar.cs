using System.Runtime.CompilerServices;

namespace CoFrGeNet.Simd;

/// <summary>One lane: for processors without vectors, and to check the others against.</summary>
internal readonly unsafe struct LanesScalar : ILanes<LanesScalar>
{
    private readonly float _v;

    private LanesScalar(float v) => _v = v;

    public static int Count
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => 1;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar operator +(LanesScalar left, LanesScalar right) => new(left._v + right._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar operator -(LanesScalar left, LanesScalar right) => new(left._v - right._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar operator *(LanesScalar left, LanesScalar right) => new(left._v * right._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar operator /(LanesScalar left, LanesScalar right) => new(left._v / right._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar operator -(LanesScalar value) => new(-value._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar Of(float value) => new(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar Load(float* source) => new(*source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar LoadBFloat16(ushort* source) => new(BitConverter.UInt32BitsToSingle((uint)*source << 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar LoadEvenBFloat16(ushort* source) => LoadBFloat16(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar LoadOddBFloat16(ushort* source) => LoadBFloat16(source + 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar LoadBytes(sbyte* source) => new(*source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar LoadLowerHalves(byte* source) => new(*source & 15);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar LoadUpperHalves(byte* source) => new(*source >> 4);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(LanesScalar value, float* destination) => *destination = value._v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreNonTemporal(LanesScalar value, float* destination) => *destination = value._v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreBFloat16(LanesScalar value, ushort* destination)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value._v);
        *destination = float.IsNaN(value._v) ? (ushort)0x7FC0 : (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar MultiplyAdd(LanesScalar x, LanesScalar y, LanesScalar z) => new(float.MultiplyAddEstimate(x._v, y._v, z._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar NegatedMultiplyAdd(LanesScalar x, LanesScalar y, LanesScalar z) => new(float.MultiplyAddEstimate(-x._v, y._v, z._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar Min(LanesScalar x, LanesScalar y) => new(x._v < y._v ? x._v : y._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar Max(LanesScalar x, LanesScalar y) => new(x._v > y._v ? x._v : y._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar Abs(LanesScalar x) => new(MathF.Abs(x._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar WithSign(LanesScalar magnitude, LanesScalar sign) => new(MathF.CopySign(magnitude._v, sign._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar NanToZero(LanesScalar x) => new(float.IsNaN(x._v) ? 0 : x._v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar WhereNegative(LanesScalar x, LanesScalar a, LanesScalar b) => x._v < 0 ? a : b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar Exp(LanesScalar x) => Exponential.Of(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar Round(LanesScalar x) => new(MathF.Round(x._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar Scale(LanesScalar x, LanesScalar n) => new(MathF.ScaleB(x._v, float.ConvertToIntegerNative<int>(n._v)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar Log(LanesScalar x) => new(MathF.Log(x._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar MinOrNaN(LanesScalar x, LanesScalar y) => new(MathF.Min(x._v, y._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanesScalar MaxOrNaN(LanesScalar x, LanesScalar y) => new(MathF.Max(x._v, y._v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(LanesScalar x) => x._v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Largest(LanesScalar x) => x._v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int CountLess(LanesScalar x, LanesScalar y, int lanes) => x._v < y._v ? 1 : 0;
}
