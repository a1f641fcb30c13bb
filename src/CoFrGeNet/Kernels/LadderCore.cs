using System.Runtime.CompilerServices;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

// Dimensions: d = depth, k = level (1 = outermost); x[k - 1] is level k, continuants[k] is K_k.

/// <summary>
/// One register full of ladders, any depth: the formulas of <see cref="ContinuedFractions.Continuant.Gradient{T}"/> on small buffers
/// that stay in the first-level cache.
/// </summary>
internal readonly unsafe struct LadderCore<TLanes, TGuard>
    where TLanes : unmanaged, ILanes<TLanes>
    where TGuard : struct, IGuardKind
{
    private readonly int _depth;
    private readonly int _saturatedLevels;
    private readonly TLanes _bound;
    private readonly TLanes _start;
    private readonly TLanes _epsilon;
    private readonly TLanes _epsilonSquare;
    private readonly TLanes _maxGradient;

    public LadderCore(in LadderConstants constants)
    {
        _depth = constants.Depth;
        _saturatedLevels = constants.SaturatedLevels;
        _bound = TLanes.Of(constants.Bound);
        _start = TLanes.Of(constants.Start);
        _epsilon = TLanes.Of(constants.Epsilon);
        _epsilonSquare = TLanes.Of(constants.EpsilonSquare);
        _maxGradient = TLanes.Of(constants.MaxGradient);
    }

    /// <summary>The partial denominator that the recurrence takes for a_k.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TLanes Denominator(TLanes a)
    {
        // In this order of operands a NaN passes through.
        TLanes x = TLanes.Max(-_bound, TLanes.Min(_bound, a));
        return typeof(TGuard) == typeof(PositiveKind) ? Softplus(x) + _epsilon : x;
    }

    /// <summary>d of it / d a_k; 1 unless the guard changes a_k.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes DenominatorSlope(TLanes a)
    {
        TLanes one = TLanes.Of(1);
        if (typeof(TGuard) != typeof(PositiveKind))
        {
            return one;
        }

        TLanes e = TLanes.Exp(-TLanes.Abs(a));
        return TLanes.WhereNegative(a, e, one) / (one + e);
    }

    /// <summary>f of the denominators x [d]; <paramref name="last"/> is K_d before the guard.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TLanes Value(TLanes* x, out TLanes last)
    {
        TLanes previous = _start;
        TLanes current = First(x[_depth - 1]);
        for (int k = _depth - 2; k >= 0; k--)
        {
            TLanes next = TLanes.MultiplyAdd(x[k], current, previous);
            previous = current;
            current = next;
        }

        last = current;
        return typeof(TGuard) == typeof(SmoothKind)
            ? previous * (current / TLanes.MultiplyAdd(current, current, _epsilonSquare))
            : previous * (TLanes.Of(1) / Guarded(current));
    }

    /// <summary>f, and the derivatives df/dx_k [d] for the denominators x [d]; continuants [d + 1] is working memory.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TLanes Gradient(TLanes* x, TLanes* continuants, TLanes* derivatives)
    {
        int d = _depth;
        TLanes previous = _start;
        TLanes current = First(x[d - 1]);
        continuants[0] = previous;
        for (int k = 1; k < d; k++)
        {
            continuants[k] = current;
            TLanes next = TLanes.MultiplyAdd(x[d - 1 - k], current, previous);
            previous = current;
            current = next;
        }

        return typeof(TGuard) == typeof(SmoothKind)
            ? SmoothGradient(x, continuants, current, derivatives)
            : PropositionOne(continuants, current, derivatives);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private TLanes PropositionOne(TLanes* continuants, TLanes last, TLanes* derivatives)
    {
        TLanes reciprocal = TLanes.Of(1) / Guarded(last);
        for (int k = 1; k <= _depth; k++)
        {
            TLanes ratio = continuants[_depth - k] * reciprocal;
            TLanes square = TLanes.Min(_maxGradient, ratio * ratio);
            derivatives[k - 1] = (k & 1) != 0 ? -square : square;
        }

        return continuants[_depth - 1] * reciprocal;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private TLanes SmoothGradient(TLanes* x, TLanes* continuants, TLanes last, TLanes* derivatives)
    {
        int d = _depth;
        TLanes w = TLanes.Of(1) / TLanes.MultiplyAdd(last, last, _epsilonSquare);
        TLanes r = last * w;
        TLanes v = _epsilon * w;
        TLanes q = (r - v) * (r + v);

        // y H_{k-2} and y H_{k-1} of round k.
        TLanes y = TLanes.Of(2) * (_epsilon * v) * r;
        TLanes previous = TLanes.Of(0);
        TLanes current = previous;
        for (int k = 1; k <= d; k++)
        {
            TLanes head = continuants[d - k];
            TLanes derivative = head * TLanes.MultiplyAdd(head, (k & 1) != 0 ? -q : q, previous);
            derivatives[k - 1] = k <= _saturatedLevels ? Saturated(derivative) : derivative;
            if (k < d)
            {
                TLanes next = k == 1 ? x[1] * y : TLanes.MultiplyAdd(x[k], current, previous);
                previous = k == 1 ? y : current;
                current = next;
            }
        }

        return continuants[d - 1] * r;
    }

    // Adding 0 turns -0 into +0, and no later continuant is -0 then: sgn(0) = +1 although the sign bit decides.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private TLanes First(TLanes x) => TLanes.MultiplyAdd(x, _start, TLanes.Of(0));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private TLanes Guarded(TLanes last) =>
        typeof(TGuard) == typeof(ClampKind) ? TLanes.WithSign(TLanes.Max(_epsilon, TLanes.Abs(last)), last) : last;

    // Infinite terms of opposite signs meet only where the derivative is beyond the type: no direction is left.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private TLanes Saturated(TLanes x) => TLanes.NanToZero(TLanes.Max(-_maxGradient, TLanes.Min(_maxGradient, x)));

    // max(x, 0) + log(1 + e), e = exp(-|x|) <= 1. What rounding took from 1 + e comes back to first order, so that tiny e keep all their bits.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TLanes Softplus(TLanes x)
    {
        TLanes one = TLanes.Of(1);
        TLanes e = TLanes.Exp(-TLanes.Abs(x));
        TLanes u = one + e;
        TLanes logarithm = TLanes.MultiplyAdd(e - (u - one), one - e, TLanes.Log(u));
        return TLanes.Max(TLanes.Of(0), x) + logarithm;
    }
}
