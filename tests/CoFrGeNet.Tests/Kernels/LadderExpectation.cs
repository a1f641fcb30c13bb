using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;

namespace CoFrGeNet.Tests.Kernels;

/// <summary>
/// A ladder and its derivatives in float64, and how far float32 may be off. Each step K_k = a K_{k-1} + K_{k-2} rounds like a change of
/// a by some units in the last place of K_k / K_{k-1}; so the tolerance is what such changes of every level do to the float64 results.
/// </summary>
internal sealed class LadderExpectation
{
    // Units in the last place, 2^-24, that a level is changed by.
    private const double Change = 4 * 6e-8;

    public LadderExpectation(double[] a, PoleGuard guard)
    {
        int d = a.Length;
        Derivatives = new double[d];
        Tolerances = new double[d];
        Value = Continuant.Gradient<double>(a, guard, Derivatives);
        ValueTolerance = Math.Abs(Value) * Change;
        for (int k = 0; k < d; k++)
        {
            Tolerances[k] = Math.Abs(Derivatives[k]) * 2 * Change;
        }

        var continuants = new double[d + 1];
        Continuant.Fill<double>(a, continuants);
        var changed = new double[d];
        for (int level = 0; level < d; level++)
        {
            double ratio = guard is PositiveGuard ? 1 : Math.Abs(continuants[d - level] / continuants[d - level - 1]);
            foreach (int sign in new[] { -1, 1 })
            {
                double[] moved = [.. a];
                moved[level] += sign * Change * (Math.Abs(a[level]) + (double.IsFinite(ratio) ? ratio : 1));
                double value = Continuant.Gradient<double>(moved, guard, changed);
                ValueTolerance += Math.Abs(value - Value);
                for (int k = 0; k < d; k++)
                {
                    Tolerances[k] += Math.Abs(changed[k] - Derivatives[k]);
                }
            }
        }
    }

    public double Value { get; }

    public double[] Derivatives { get; }

    public double ValueTolerance { get; }

    public double[] Tolerances { get; }

    // The smallest normal number, below which relative accuracy ends.
    public bool IsValue(float value) => Math.Abs(value - Value) <= ValueTolerance + 1e-37;

    public bool IsDerivative(int k, float gradient, float upstream) =>
        Math.Abs(gradient - (Derivatives[k] * upstream)) <= (Tolerances[k] * Math.Abs(upstream)) + 1e-37;
}
