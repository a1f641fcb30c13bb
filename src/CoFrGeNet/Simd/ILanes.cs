using System.Numerics;

namespace CoFrGeNet.Simd;

/// <summary>
/// A register of float32 lanes. Kernels are written once over it and compiled for each width; which one runs is chosen by
/// <see cref="SimdWidth"/>. All operations work lane by lane.
/// </summary>
/// <typeparam name="TSelf">The width.</typeparam>
internal unsafe interface ILanes<TSelf> :
    IAdditionOperators<TSelf, TSelf, TSelf>, ISubtractionOperators<TSelf, TSelf, TSelf>, IMultiplyOperators<TSelf, TSelf, TSelf>,
    IDivisionOperators<TSelf, TSelf, TSelf>, IUnaryNegationOperators<TSelf, TSelf>
    where TSelf : unmanaged, ILanes<TSelf>
{
    /// <summary>The number of lanes.</summary>
    static abstract int Count { get; }

    /// <summary>The same value in every lane.</summary>
    static abstract TSelf Of(float value);

    /// <summary>Reads <see cref="Count"/> float32 values.</summary>
    static abstract TSelf Load(float* source);

    /// <summary>Reads <see cref="Count"/> bfloat16 values.</summary>
    static abstract TSelf LoadBFloat16(ushort* source);

    /// <summary>Reads the first, third, .. of twice <see cref="Count"/> bfloat16 values.</summary>
    static abstract TSelf LoadEvenBFloat16(ushort* source);

    /// <summary>Reads the second, fourth, .. of twice <see cref="Count"/> bfloat16 values.</summary>
    static abstract TSelf LoadOddBFloat16(ushort* source);

    /// <summary>Reads <see cref="Count"/> signed bytes.</summary>
    static abstract TSelf LoadBytes(sbyte* source);

    /// <summary>Reads the lower halves of <see cref="Count"/> bytes, 0 to 15 each.</summary>
    static abstract TSelf LoadLowerHalves(byte* source);

    /// <summary>Reads the upper halves of <see cref="Count"/> bytes, 0 to 15 each.</summary>
    static abstract TSelf LoadUpperHalves(byte* source);

    /// <summary>Writes <see cref="Count"/> float32 values.</summary>
    static abstract void Store(TSelf value, float* destination);

    /// <summary>Writes past the caches; the address must be a multiple of the register's size.</summary>
    static abstract void StoreNonTemporal(TSelf value, float* destination);

    /// <summary>Writes bfloat16 values, rounded to nearest even; NaN stays NaN.</summary>
    static abstract void StoreBFloat16(TSelf value, ushort* destination);

    /// <summary>x y + z with one rounding where the processor can.</summary>
    static abstract TSelf MultiplyAdd(TSelf x, TSelf y, TSelf z);

    /// <summary>z - x y with one rounding where the processor can.</summary>
    static abstract TSelf NegatedMultiplyAdd(TSelf x, TSelf y, TSelf z);

    /// <summary>The smaller one; the second operand where either is NaN (on x86; elsewhere NaN).</summary>
    static abstract TSelf Min(TSelf x, TSelf y);

    /// <summary>The larger one; the second operand where either is NaN (on x86; elsewhere NaN).</summary>
    static abstract TSelf Max(TSelf x, TSelf y);

    /// <summary>The magnitude.</summary>
    static abstract TSelf Abs(TSelf x);

    /// <summary>magnitude with the sign bit of <paramref name="sign"/>; the magnitude's own sign bit must be clear.</summary>
    static abstract TSelf WithSign(TSelf magnitude, TSelf sign);

    /// <summary>0 where x is NaN.</summary>
    static abstract TSelf NanToZero(TSelf x);

    /// <summary>a where x is negative, b elsewhere (also for -0 and NaN).</summary>
    static abstract TSelf WhereNegative(TSelf x, TSelf a, TSelf b);

    /// <summary>e^x, as <see cref="Exponential"/> computes it.</summary>
    static abstract TSelf Exp(TSelf x);

    /// <summary>The nearest whole number, of two the even one.</summary>
    static abstract TSelf Round(TSelf x);

    /// <summary>x 2^n of whole numbers n from -151 to 129.</summary>
    static abstract TSelf Scale(TSelf x, TSelf n);

    /// <summary>The natural logarithm.</summary>
    static abstract TSelf Log(TSelf x);

    /// <summary>The smaller one; NaN where either is.</summary>
    static abstract TSelf MinOrNaN(TSelf x, TSelf y);

    /// <summary>The larger one; NaN where either is.</summary>
    static abstract TSelf MaxOrNaN(TSelf x, TSelf y);

    /// <summary>The sum of all lanes.</summary>
    static abstract float Sum(TSelf x);

    /// <summary>The sums of four registers' lanes; of each the same, whatever stands beside it.</summary>
    static virtual void Sums(TSelf a, TSelf b, TSelf c, TSelf d, float* sums) =>
        (sums[0], sums[1], sums[2], sums[3]) = (TSelf.Sum(a), TSelf.Sum(b), TSelf.Sum(c), TSelf.Sum(d));

    /// <summary>The largest of all lanes.</summary>
    static abstract float Largest(TSelf x);

    /// <summary>How many of the first <paramref name="lanes"/> lanes have x &lt; y.</summary>
    static abstract int CountLess(TSelf x, TSelf y, int lanes);
}
