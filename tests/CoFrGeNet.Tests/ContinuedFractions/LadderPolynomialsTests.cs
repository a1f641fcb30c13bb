using CoFrGeNet.ContinuedFractions;

namespace CoFrGeNet.Tests.ContinuedFractions;

public class LadderPolynomialsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(7)]
    public void The_rational_function_is_the_ladder_along_the_line(int depth)
    {
        double[] alpha = [.. Enumerable.Range(1, depth).Select(k => 1.5 + Math.Sin(k))], beta = [.. Enumerable.Range(1, depth).Select(k => Math.Cos(3 * k))];
        var function = LadderPolynomials.Of(alpha, beta);
        Assert.Equal(depth, function.Numerator.Count);
        Assert.Equal(depth + 1, function.Denominator.Count);
        foreach (var t in new[] { -0.7, 0, 0.3, 1.1 })
        {
            double[] a = [.. alpha.Zip(beta, (start, slope) => start + (slope * t))];

            // Relative to the value: nested divisions and continuants round differently, and both lose digits near a pole.
            var expected = NestedDivision.Evaluate<double>(a);
            Assert.Equal(expected, function.At(t), 1e-9 * Math.Max(1, Math.Abs(expected)));
        }
    }

    [Fact]
    public void It_is_written_as_by_hand_and_its_poles_are_found()
    {
        // 1 / (t + 1 / (2 - t)) = (2 - t) / (1 + 2 t - t^2), with poles at 1 +- sqrt 2.
        var function = LadderPolynomials.Of([0, 2], [1, -1]);
        Assert.Equal("(2 - t) / (1 + 2 t - t^2)", function.ToString());
        var poles = function.Poles(-3, 3);
        Assert.Equal(2, poles.Count);
        Assert.Equal(1 - Math.Sqrt(2), poles[0], 1e-12);
        Assert.Equal(1 + Math.Sqrt(2), poles[1], 1e-12);
        Assert.Empty(function.Poles(0, 1));
        Assert.Throws<ArgumentException>(() => LadderPolynomials.Of([1], [1, 2]));
    }
}
