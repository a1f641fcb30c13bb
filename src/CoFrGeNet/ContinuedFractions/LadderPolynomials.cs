using System.Globalization;
using System.Text;

namespace CoFrGeNet.ContinuedFractions;

// Dimensions: d = depth, k = level (1 = outermost), t = place on the line.

/// <summary>
/// A ladder along a line through its input space: with partial denominators a_k(t) = alpha_k + beta_k t it is the rational function
/// K_{d-1}(a_2, .., a_d) / K_d(a_1, .., a_d), whose continuants are polynomials in t (PAPER eqs. 4, 5). No guard is in it.
/// </summary>
public sealed class LadderPolynomials
{
    private LadderPolynomials(double[] numerator, double[] denominator)
    {
        Numerator = numerator;
        Denominator = denominator;
    }

    /// <summary>Coefficients of K_{d-1}, that of t^0 first; degree d - 1.</summary>
    public IReadOnlyList<double> Numerator { get; }

    /// <summary>Coefficients of K_d, that of t^0 first; degree d.</summary>
    public IReadOnlyList<double> Denominator { get; }

    /// <summary>Writes a ladder out.</summary>
    /// <param name="alpha">a_k at t = 0, outermost first, [d].</param>
    /// <param name="beta">How a_k changes with t, [d].</param>
    /// <exception cref="ArgumentException">There is no level, or the lengths differ.</exception>
    public static LadderPolynomials Of(ReadOnlySpan<double> alpha, ReadOnlySpan<double> beta)
    {
        if (alpha.IsEmpty || alpha.Length != beta.Length)
        {
            throw new ArgumentException($"alpha has {alpha.Length} levels and beta {beta.Length}; both must have the same number, at least 1.", nameof(beta));
        }

        // K_k = a_{d-k+1} K_{k-1} + K_{k-2}
        double[] previous = [], current = [1];
        for (var level = alpha.Length - 1; level >= 0; level--)
        {
            var next = new double[current.Length + 1];
            for (var i = 0; i < current.Length; i++)
            {
                next[i] += alpha[level] * current[i];
                next[i + 1] += beta[level] * current[i];
            }

            for (var i = 0; i < previous.Length; i++)
            {
                next[i] += previous[i];
            }

            (previous, current) = (current, next);
        }

        return new LadderPolynomials(previous, current);
    }

    /// <summary>The value without a guard; infinite or NaN at a pole.</summary>
    /// <param name="t">Place on the line.</param>
    public double At(double t) => Value(Numerator, t) / Value(Denominator, t);

    /// <summary>K_d at a place.</summary>
    /// <param name="t">Place on the line.</param>
    public double DenominatorAt(double t) => Value(Denominator, t);

    /// <summary>Where K_d changes its sign between two places, to within the last bits of a double.</summary>
    /// <param name="from">The lower end.</param>
    /// <param name="to">The upper end.</param>
    /// <param name="pieces">Pieces that are looked at; two poles within one are missed.</param>
    public IReadOnlyList<double> Poles(double from, double to, int pieces = 1000)
    {
        var poles = new List<double>();
        for (var i = 0; i < pieces; i++)
        {
            double low = from + ((to - from) * i / pieces), high = from + ((to - from) * (i + 1) / pieces);
            if (Math.Sign(DenominatorAt(low)) * Math.Sign(DenominatorAt(high)) < 0)
            {
                poles.Add(Bisect(low, high));
            }
        }

        return poles;
    }

    /// <summary>The function as it would be written by hand, for example <c>(1 + 2 t) / (3 - t + 0.5 t^2)</c>.</summary>
    public override string ToString() => $"({Written(Numerator)}) / ({Written(Denominator)})";

    private double Bisect(double low, double high)
    {
        var sign = Math.Sign(DenominatorAt(low));
        for (var i = 0; i < 60; i++)
        {
            var middle = (low + high) / 2;
            (low, high) = Math.Sign(DenominatorAt(middle)) == sign ? (middle, high) : (low, middle);
        }

        return (low + high) / 2;
    }

    private static double Value(IReadOnlyList<double> coefficients, double t)
    {
        double value = 0;
        for (var i = coefficients.Count - 1; i >= 0; i--)
        {
            value = (value * t) + coefficients[i];
        }

        return value;
    }

    private static string Written(IReadOnlyList<double> coefficients)
    {
        var text = new StringBuilder();
        for (var i = 0; i < coefficients.Count; i++)
        {
            var size = Math.Abs(coefficients[i]);
            if (size == 0)
            {
                continue;
            }

            var sign = coefficients[i] < 0 ? "-" : text.Length > 0 ? "+" : string.Empty;
            var power = i switch { 0 => string.Empty, 1 => "t", _ => $"t^{i}" };
            var number = size.ToString("G4", CultureInfo.InvariantCulture);
            text.Append(text.Length > 0 ? $" {sign} " : sign).Append(power.Length == 0 ? number : size == 1 ? power : $"{number} {power}");
        }

        return text.Length == 0 ? "0" : text.ToString();
    }
}
