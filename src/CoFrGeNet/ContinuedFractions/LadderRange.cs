using System.Numerics;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.ContinuedFractions;

// Dimensions: d = depth, k = level (1 = outermost), M = largest exponent of the element type (127 float32, 1023 float64).

/// <summary>
/// The range in which a ladder of depth d computes, so that no partial denominator, however large, overflows a continuant.
/// <para>
/// Every a_k is bounded to |a_k| &lt;= 2^b with b = floor(M / (d + 1)): 2^63, 2^42, 2^31, 2^25, 2^21, 2^18, 2^15, 2^14 for
/// d = 1 .. 8 in float32. Because |K_k| &lt;= (2^b + 1)^k, K_d stays finite with a factor 2^b to spare. Smaller values are not
/// touched; beyond the bound the value and the closed-form gradient are those at the bound (off by at most 2^-b in a
/// level's reciprocal).
/// </para>
/// <para>
/// <see cref="SmoothGuard"/> squares K_d. Its recurrence therefore starts at K_0 = 2^-s instead of 1, with eps scaled alike:
/// continuants are linear in K_0, so that K_{d-1} K_d / (K_d^2 + eps^2) keeps its value while K_d^2 cannot overflow.
/// </para>
/// </summary>
public readonly record struct LadderRange
{
    /// <summary>The deepest ladder that is computed; the bound on |a_k| would touch ordinary values beyond it.</summary>
    public const int MaxDepth = 16;

    /// <summary>The smallest epsilon of a guard; below it f itself can overflow float32.</summary>
    public const double MinEpsilon = 1e-5;

    /// <summary>The largest epsilon of a guard; softplus(a_k) + eps must stay near the bound of the deepest ladder, 2^7.</summary>
    public const double MaxEpsilon = 100;

    // Rounding of (2^b + 1)^n and the sum of two terms cost less than these powers of two for d <= MaxDepth.
    private const int Margin = 3;

    private readonly int _inverseEpsilonExponent;

    private LadderRange(int depth, int maxExponent, PoleGuard guard)
    {
        Depth = depth;
        MaxExponent = maxExponent;
        BoundExponent = maxExponent / (depth + 1);
        _inverseEpsilonExponent = Math.Max(0, (int)Math.Ceiling(-Math.Log2(guard.Epsilon)));
        if (guard is SmoothGuard)
        {
            // K_d^2 and (eps 2^-s)^-2 must both stay representable.
            int half = (maxExponent - 3) / 2;
            ScaleExponent = Math.Max(0, Math.Min((depth * BoundExponent) - half, half - _inverseEpsilonExponent));
        }
    }

    /// <summary>The depth d of the ladder.</summary>
    public int Depth { get; }

    /// <summary>The largest exponent M of the element type.</summary>
    public int MaxExponent { get; }

    /// <summary>b: partial denominators are bounded to |a_k| &lt;= 2^b.</summary>
    public int BoundExponent { get; private init; }

    /// <summary>s: the recurrence starts at K_0 = 2^-s; 0 for every guard but <see cref="SmoothGuard"/>.</summary>
    public int ScaleExponent { get; }

    /// <summary>2^b.</summary>
    public double Bound => Math.ScaleB(1, BoundExponent);

    /// <summary>2^-s.</summary>
    public double Scale => Math.ScaleB(1, -ScaleExponent);

    /// <summary>What an infinite |df/da_k| becomes, a quarter of the largest number; reached only next to a pole with huge a.</summary>
    public double MaxGradient => Math.ScaleB(1, MaxExponent - 1);

    /// <summary>The range for elements of type <typeparamref name="T"/>.</summary>
    /// <param name="depth">d, 1 to <see cref="MaxDepth"/>.</param>
    /// <param name="guard">The guard; its epsilon must lie in [<see cref="MinEpsilon"/>, <see cref="MaxEpsilon"/>].</param>
    /// <exception cref="ArgumentOutOfRangeException">The depth or epsilon lies outside its limits.</exception>
    public static LadderRange For<T>(int depth, PoleGuard guard)
        where T : unmanaged, IFloatingPointIeee754<T>, IMinMaxValue<T> => For(depth, T.ILogB(T.MaxValue), guard);

    /// <summary>The range for elements whose largest exponent is <paramref name="maxExponent"/>.</summary>
    /// <param name="depth">d, 1 to <see cref="MaxDepth"/>.</param>
    /// <param name="maxExponent">M: 127 for float32, 1023 for float64.</param>
    /// <param name="guard">The guard; its epsilon must lie in [<see cref="MinEpsilon"/>, <see cref="MaxEpsilon"/>].</param>
    /// <exception cref="ArgumentOutOfRangeException">The depth or epsilon lies outside its limits.</exception>
    public static LadderRange For(int depth, int maxExponent, PoleGuard guard)
    {
        ArgumentNullException.ThrowIfNull(guard);
        if (depth is < 1 or > MaxDepth)
        {
            throw new ArgumentOutOfRangeException(
                nameof(depth), depth, $"The depth of a ladder is {depth}; it must lie in 1 to {MaxDepth}.");
        }

        if (!(guard.Epsilon >= MinEpsilon && guard.Epsilon <= MaxEpsilon))
        {
            throw new ArgumentOutOfRangeException(
                nameof(guard), guard.Epsilon, $"The guard's epsilon is {guard.Epsilon}; it must lie in [{MinEpsilon}, {MaxEpsilon}].");
        }

        return new LadderRange(depth, maxExponent, guard);
    }

    /// <summary>As long as every |a_k| is at most this, nothing overflows and nothing needs to be bounded or held.</summary>
    /// <param name="guard">The guard that the range was made for.</param>
    internal double UnboundedLimit(PoleGuard guard)
    {
        for (int exponent = BoundExponent; exponent > 0; exponent--)
        {
            LadderRange narrow = this with { BoundExponent = exponent };
            if (Enumerable.Range(1, Depth).All(k => !(guard is SmoothGuard ? narrow.SmoothCanOverflow(k) : narrow.SquareCanOverflow(k))))
            {
                return narrow.Bound;
            }
        }

        return 0;
    }

    /// <summary>Whether (K_{d-k} / K_d)^2 of level <paramref name="level"/> can overflow when |K_d| is held at eps or above.</summary>
    public bool SquareCanOverflow(int level)
    {
        int numerator = BoundExponent * (Depth - level);
        return (2 * (numerator + _inverseEpsilonExponent)) + Margin > MaxExponent;
    }

    /// <summary>
    /// Whether the derivative of level <paramref name="level"/> or a step of it can overflow with <see cref="SmoothGuard"/>.
    /// </summary>
    public bool SmoothCanOverflow(int level)
    {
        // The terms K_{d-k}^2 q and K_{d-k} Y_{k-2} of Continuant.Gradient, their factors in scaled units first.
        int numerator = BoundExponent * (Depth - level);
        int prefix = BoundExponent * Math.Max(level - 2, 0);
        int square = numerator + Math.Max(numerator, ScaleExponent) + (2 * _inverseEpsilonExponent);
        int product = prefix + Math.Max(numerator, ScaleExponent) + _inverseEpsilonExponent;
        return Math.Max(square, product) + Margin > MaxExponent;
    }
}
