using System.Runtime.CompilerServices;

namespace CoFrGeNet.Simd;

/// <summary>
/// e^x in float32 alone: x = n ln 2 + r with |r| at most ln 2 / 2, a polynomial in r, and 2^n put into the exponent. The error is below one unit in the last
/// place; the runtime's vectors compute it in float64, at several times the cost.
/// </summary>
internal static class Exponential
{
    /// <summary>e^x of every lane: 0 far below, infinite far above, NaN of NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Of<TLanes>(TLanes x)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        // Beyond these float32 ends. A NaN comes back as the second operand.
        x = TLanes.Max(TLanes.Of(-104), TLanes.Min(TLanes.Of(89), x));
        TLanes n = TLanes.Round(x * TLanes.Of(1.44269504f));

        // ln 2 in two parts, the first of few digits, so that n times it is exact.
        TLanes r = TLanes.NegatedMultiplyAdd(n, TLanes.Of(0.693359375f), x);
        r = TLanes.NegatedMultiplyAdd(n, TLanes.Of(-2.12194442e-4f), r);

        // (e^r - 1 - r) / r^2 interpolated at the six Chebyshev points of the interval.
        TLanes p = TLanes.MultiplyAdd(TLanes.Of(1.98911803e-4f), r, TLanes.Of(1.39338209e-3f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Of(8.33331048e-3f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Of(4.1666463e-2f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Of(0.166666672f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Of(0.5f));
        return TLanes.Scale(TLanes.MultiplyAdd(p, r * r, r) + TLanes.Of(1), n);
    }
}
