using System.Numerics;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.ContinuedFractions;

// Dimensions: d = depth, k = level (1 = outermost), n = number of ladders.
// Spans count levels from 0: a[k - 1] is a_k.

/// <summary>
/// Ladders through continuants, one division each (PAPER section 1, eqs. 4 and 5):
/// K_0 = 1, K_1 = a_d, K_k = a_{d-k+1} K_{k-1} + K_{k-2}, f = K_{d-1} / K_d.
/// The guarded forms are finite for every input but NaN; <see cref="LadderRange"/> says how.
/// </summary>
public static class Continuant
{
    /// <summary>Writes K_0 .. K_d, where K_k = K_k(a_{d-k+1}, .., a_d) (eqs. 4, 5). Nothing is bounded or guarded.</summary>
    /// <param name="a">The partial denominators a_1 .. a_d, [d]; d may be 0.</param>
    /// <param name="continuants">Receives K_0 .. K_d, [d + 1].</param>
    /// <exception cref="ArgumentException"><paramref name="continuants"/> does not hold d + 1 elements.</exception>
    public static void Fill<T>(ReadOnlySpan<T> a, Span<T> continuants)
        where T : IFloatingPointIeee754<T>
    {
        if (continuants.Length != a.Length + 1)
        {
            throw new ArgumentException(
                $"The span for the continuants has {continuants.Length} elements; a ladder of depth {a.Length} has {a.Length + 1}.",
                nameof(continuants));
        }

        Fill(a, T.One, continuants);
    }

    /// <summary>f = K_{d-1} / K_d with one division and no guard.</summary>
    /// <param name="a">The partial denominators a_1 .. a_d, [d].</param>
    /// <returns>f; infinite or NaN at a pole or where a continuant overflows.</returns>
    /// <exception cref="ArgumentException"><paramref name="a"/> is empty.</exception>
    public static T Evaluate<T>(ReadOnlySpan<T> a)
        where T : IFloatingPointIeee754<T>
    {
        if (a.IsEmpty)
        {
            throw new ArgumentException("A ladder has 0 partial denominators; it needs at least 1.", nameof(a));
        }

        T previous = T.One;
        T current = a[^1];
        for (int k = a.Length - 2; k >= 0; k--)
        {
            (previous, current) = (current, (a[k] * current) + previous);
        }

        return previous / current;
    }

    /// <summary>f = K_{d-1} / K_d with the reciprocal of K_d guarded.</summary>
    /// <param name="a">The partial denominators a_1 .. a_d, [d], d up to <see cref="LadderRange.MaxDepth"/>.</param>
    /// <param name="guard">How f is kept away from its poles.</param>
    /// <returns>f, finite unless <paramref name="a"/> holds a NaN.</returns>
    /// <exception cref="ArgumentOutOfRangeException">d or the guard's epsilon lies outside <see cref="LadderRange"/>'s limits.</exception>
    public static T Evaluate<T>(ReadOnlySpan<T> a, PoleGuard guard)
        where T : unmanaged, IFloatingPointIeee754<T>, IMinMaxValue<T> =>
        EvaluateLadder(a, 1, 0, guard, LadderRange.For<T>(a.Length, guard));

    /// <summary>The values of n ladders whose levels lie one behind the other.</summary>
    /// <param name="a">The partial denominators, [d, n]: level k of ladder j at [k - 1, j].</param>
    /// <param name="depth">d, 1 to <see cref="LadderRange.MaxDepth"/>.</param>
    /// <param name="guard">How every f is kept away from its poles.</param>
    /// <param name="f">Receives the values, [n].</param>
    /// <exception cref="ArgumentException"><paramref name="a"/> does not hold d n elements.</exception>
    /// <exception cref="ArgumentOutOfRangeException">d or the guard's epsilon lies outside <see cref="LadderRange"/>'s limits.</exception>
    public static void Evaluate<T>(ReadOnlySpan<T> a, int depth, PoleGuard guard, Span<T> f)
        where T : unmanaged, IFloatingPointIeee754<T>, IMinMaxValue<T>
    {
        LadderRange range = LadderRange.For<T>(depth, guard);
        if (a.Length != (long)depth * f.Length)
        {
            throw new ArgumentException(
                $"The span has {a.Length} partial denominators; {f.Length} ladders of depth {depth} have {(long)depth * f.Length}.",
                nameof(a));
        }

        for (int j = 0; j < f.Length; j++)
        {
            f[j] = EvaluateLadder(a, f.Length, j, guard, range);
        }
    }

    /// <summary>
    /// f and its derivatives df/da_1 .. df/da_d, all from the one reciprocal.
    /// <list type="bullet">
    /// <item><see cref="ClampGuard"/>: Proposition 1 with the guarded K_d, (-1)^k (K_{d-k} / K_d)^2.</item>
    /// <item><see cref="SmoothGuard"/>: the exact derivative of f = K_{d-1} r, r = K_d / (K_d^2 + e^2) = K_d w, written so that
    /// nothing cancels: K_{d-k} ((-1)^k K_{d-k} (r^2 - e^2 w^2) + 2 e^2 w r H_{k-2}), where H_k = a_{k+1} H_{k-1} + H_{k-2},
    /// H_0 = 1, H_{-1} = 0 are the continuants of a_2 .. a_{k+1}. For e = 0 it is Proposition 1.</item>
    /// <item><see cref="PositiveGuard"/>: Proposition 1 at softplus(a_k) + eps, times the logistic function of a_k.</item>
    /// </list>
    /// A derivative that overflows is held at <see cref="LadderRange.MaxGradient"/>.
    /// </summary>
    /// <param name="a">The partial denominators a_1 .. a_d, [d], d up to <see cref="LadderRange.MaxDepth"/>.</param>
    /// <param name="guard">How f is kept away from its poles.</param>
    /// <param name="gradient">Receives df/da_1 .. df/da_d, [d], finite unless <paramref name="a"/> holds a NaN.</param>
    /// <returns>f.</returns>
    /// <exception cref="ArgumentException"><paramref name="gradient"/> is not as long as <paramref name="a"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">d or the guard's epsilon lies outside <see cref="LadderRange"/>'s limits.</exception>
    public static T Gradient<T>(ReadOnlySpan<T> a, PoleGuard guard, Span<T> gradient)
        where T : unmanaged, IFloatingPointIeee754<T>, IMinMaxValue<T>
    {
        LadderRange range = LadderRange.For<T>(a.Length, guard);
        if (gradient.Length != a.Length)
        {
            throw new ArgumentException(
                $"The span for the gradient has {gradient.Length} elements; a ladder of depth {a.Length} has {a.Length}.",
                nameof(gradient));
        }

        int d = a.Length;
        Span<T> denominators = stackalloc T[LadderRange.MaxDepth];
        Span<T> continuants = stackalloc T[LadderRange.MaxDepth + 1];
        denominators = denominators[..d];
        continuants = continuants[..(d + 1)];
        for (int k = 0; k < d; k++)
        {
            denominators[k] = PartialDenominator(a[k], guard, range);
        }

        Fill<T>(denominators, T.CreateChecked(range.Scale), continuants);
        if (guard is SmoothGuard)
        {
            return SmoothGradient(denominators, continuants, guard, range, gradient);
        }

        T f = PropositionOne(continuants, guard, range, gradient);
        if (guard is PositiveGuard)
        {
            for (int k = 0; k < d; k++)
            {
                gradient[k] *= Logistic(a[k]);
            }
        }

        return f;
    }

    private static T PropositionOne<T>(ReadOnlySpan<T> continuants, PoleGuard guard, LadderRange range, Span<T> gradient)
        where T : unmanaged, IFloatingPointIeee754<T>, IMinMaxValue<T>
    {
        int d = gradient.Length;
        T limit = T.CreateChecked(range.MaxGradient);
        T reciprocal = T.One / GuardedDenominator(continuants[d], guard);
        for (int k = 1; k <= d; k++)
        {
            T ratio = continuants[d - k] * reciprocal;
            T square = T.Min(ratio * ratio, limit);
            gradient[k - 1] = int.IsOddInteger(k) ? -square : square;
        }

        return continuants[d - 1] * reciprocal;
    }

    private static T SmoothGradient<T>(
        ReadOnlySpan<T> a, ReadOnlySpan<T> continuants, PoleGuard guard, LadderRange range, Span<T> gradient)
        where T : unmanaged, IFloatingPointIeee754<T>, IMinMaxValue<T>
    {
        int d = a.Length;
        T epsilon = T.CreateChecked(guard.Epsilon * range.Scale);
        T last = continuants[d];
        T w = T.One / ((last * last) + (epsilon * epsilon));
        T r = last * w;
        T v = epsilon * w;
        T q = (r - v) * (r + v);
        T y = (T.One + T.One) * (epsilon * v) * r;

        // y H_{k-2} and y H_{k-1} at the start of round k.
        T previous = T.Zero;
        T current = T.Zero;
        for (int k = 1; k <= d; k++)
        {
            T head = continuants[d - k];
            T square = head * q;
            T derivative = head * (previous + (int.IsOddInteger(k) ? -square : square));
            gradient[k - 1] = range.SmoothCanOverflow(k) ? Saturate(derivative, range) : derivative;
            (previous, current) = k == 1 ? (y, k < d ? a[k] * y : y) : (current, k < d ? (a[k] * current) + previous : current);
        }

        return continuants[d - 1] * r;
    }

    private static T EvaluateLadder<T>(ReadOnlySpan<T> a, int stride, int offset, PoleGuard guard, LadderRange range)
        where T : unmanaged, IFloatingPointIeee754<T>, IMinMaxValue<T>
    {
        int d = range.Depth;
        T previous = T.CreateChecked(range.Scale);
        T current = previous * PartialDenominator(a[((d - 1) * stride) + offset], guard, range);
        for (int k = d - 2; k >= 0; k--)
        {
            (previous, current) = (current, (PartialDenominator(a[(k * stride) + offset], guard, range) * current) + previous);
        }

        if (guard is not SmoothGuard)
        {
            return previous * (T.One / GuardedDenominator(current, guard));
        }

        T epsilon = T.CreateChecked(guard.Epsilon * range.Scale);
        return previous * (current / ((current * current) + (epsilon * epsilon)));
    }

    private static void Fill<T>(ReadOnlySpan<T> a, T start, Span<T> continuants)
        where T : IFloatingPointIeee754<T>
    {
        T previous = T.Zero;
        continuants[0] = start;
        for (int k = 1; k < continuants.Length; k++)
        {
            continuants[k] = (a[^k] * continuants[k - 1]) + previous;
            previous = continuants[k - 1];
        }
    }

    private static T PartialDenominator<T>(T a, PoleGuard guard, LadderRange range)
        where T : IFloatingPointIeee754<T>
    {
        T bound = T.CreateChecked(range.Bound);
        T x = T.Clamp(a, -bound, bound);

        return guard is PositiveGuard ? Softplus(x) + T.CreateChecked(guard.Epsilon) : x;
    }

    /// <summary>ln(1 + e^x) without overflow of exp.</summary>
    internal static T Softplus<T>(T x)
        where T : IFloatingPointIeee754<T> => T.Max(x, T.Zero) + T.LogP1(T.Exp(-T.Abs(x)));

    private static T GuardedDenominator<T>(T last, PoleGuard guard)
        where T : IFloatingPointIeee754<T>
    {
        if (guard is not ClampGuard)
        {
            return last;
        }

        // A comparison, not the sign bit: -0 counts as +0, and sgn(0) = +1.
        T magnitude = T.Max(T.Abs(last), T.CreateChecked(guard.Epsilon));
        return last < T.Zero ? -magnitude : magnitude;
    }

    private static T Saturate<T>(T value, LadderRange range)
        where T : IFloatingPointIeee754<T>
    {
        // Infinite terms of opposite signs meet only where the derivative itself is beyond the type: no direction is left.
        T limit = T.CreateChecked(range.MaxGradient);
        return T.IsNaN(value) ? T.Zero : T.IsInfinity(value) ? T.CopySign(limit, value) : value;
    }

    private static T Logistic<T>(T x)
        where T : IFloatingPointIeee754<T>
    {
        T e = T.Exp(-T.Abs(x));
        return (x < T.Zero ? e : T.One) / (T.One + e);
    }
}
