using System.Numerics;

namespace CoFrGeNet.ContinuedFractions;

// Dimensions: d = depth of the ladder.

/// <summary>The ladder as it is written down, with d divisions and no guard: the reference that continuants are checked against.</summary>
public static class NestedDivision
{
    /// <summary>f = 1 / (a_1 + 1 / (a_2 + .. + 1 / a_d)) (PAPER section 1).</summary>
    /// <param name="a">The partial denominators a_1 .. a_d, [d], outermost first.</param>
    /// <returns>f; infinite or NaN where a division meets a zero.</returns>
    /// <exception cref="ArgumentException"><paramref name="a"/> is empty.</exception>
    public static T Evaluate<T>(ReadOnlySpan<T> a)
        where T : IFloatingPointIeee754<T>
    {
        if (a.IsEmpty)
        {
            throw new ArgumentException("A ladder has 0 partial denominators; it needs at least 1.", nameof(a));
        }

        T f = T.Zero;
        for (int k = a.Length - 1; k >= 0; k--)
        {
            f = T.One / (a[k] + f);
        }

        return f;
    }
}
