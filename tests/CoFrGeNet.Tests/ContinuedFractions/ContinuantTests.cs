using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using FsCheck;
using FsCheck.Fluent;

namespace CoFrGeNet.Tests.ContinuedFractions;

// Dimensions: d = depth, k = level (1 = outermost), n = number of ladders.

public class ContinuantTests
{
    // Small integers: continuants up to depth 8 stay below 2^53 and are exact in float64.
    private static readonly Arbitrary<double[]> WholeLadders = Gen.Choose(2, 8)
        .SelectMany(d => Gen.ArrayOf(Gen.Choose(-9, 9).Select(x => (double)x), d))
        .ToArbitrary();

    private static readonly Arbitrary<double[]> PositiveLadders = Gen.Choose(1, 8)
        .SelectMany(d => Gen.ArrayOf(Gen.Choose(1, 100_000).Select(x => x / 1000.0), d))
        .ToArbitrary();

    [Fact]
    public void Continuants_obey_the_determinant_identity() => Prop.ForAll(WholeLadders, a =>
    {
        // K(1..d) K(2..d-1) - K(1..d-1) K(2..d) = (-1)^d
        double determinant = (Last(a) * Last(a[1..^1])) - (Last(a[..^1]) * Last(a[1..]));
        return determinant == (int.IsEvenInteger(a.Length) ? 1 : -1);
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Continuants_read_the_same_from_both_ends() => Prop.ForAll(WholeLadders, a =>
        Last(a) == Last([.. a.Reverse()])).QuickCheckThrowOnFailure();

    [Fact]
    public void Continuants_split_at_any_level() => Prop.ForAll(WholeLadders, a =>
    {
        // K(1..d) = K(1..m) K(m+1..d) + K(1..m-1) K(m+2..d)
        int m = a.Length / 2;
        return Last(a) == (Last(a[..m]) * Last(a[m..])) + (Last(a[..(m - 1)]) * Last(a[(m + 1)..]));
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void One_division_equals_nested_divisions() => Prop.ForAll(PositiveLadders, a =>
    {
        double expected = NestedDivision.Evaluate<double>(a);

        // Positive denominators never cancel: some roundings of 1e-16 per level.
        return Math.Abs(Continuant.Evaluate<double>(a) - expected) <= 1e-14 * expected;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void The_clamp_changes_nothing_away_from_poles() => Prop.ForAll(PositiveLadders, a =>
    {
        // K_d >= 0.001 here, above the guard's zone; multiplying by the reciprocal rounds once more than dividing.
        double expected = Continuant.Evaluate<double>(a);
        return Math.Abs(Continuant.Evaluate<double>(a, new ClampGuard { Epsilon = 1e-3 }) - expected) <= 1e-15 * expected;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Fill_writes_every_continuant()
    {
        var continuants = new double[4];
        Continuant.Fill([2, 3, 5], continuants);
        Assert.Equal([1, 5, 16, 37], continuants);
        Continuant.Fill<double>([], continuants.AsSpan(0, 1));
        Assert.Equal(1, continuants[0]);
    }

    [Fact]
    public void A_batch_gives_each_ladder_its_own_value()
    {
        const int Depth = 3;
        const int Count = 5;
        var random = new Random(1);
        double[] a = [.. Enumerable.Range(0, Depth * Count).Select(_ => random.NextDouble() - 0.5)];
        var f = new double[Count];
        foreach (PoleGuard guard in new PoleGuard[] { new ClampGuard(), new SmoothGuard(), new PositiveGuard() })
        {
            Continuant.Evaluate(a, Depth, guard, f);
            for (int j = 0; j < Count; j++)
            {
                Assert.Equal(Continuant.Evaluate<double>([a[j], a[Count + j], a[(2 * Count) + j]], guard), f[j]);
            }
        }
    }

    [Fact]
    public void Wrong_arguments_are_refused_with_value_and_limit()
    {
        var guard = new ClampGuard();
        Assert.Throws<ArgumentException>(() => NestedDivision.Evaluate<double>([]));
        Assert.Throws<ArgumentException>(() => Continuant.Evaluate<double>([]));
        Assert.Contains("1 to 16", Assert.Throws<ArgumentOutOfRangeException>(() => Continuant.Evaluate<double>([], guard)).Message);
        Assert.Contains("is 17", Assert.Throws<ArgumentOutOfRangeException>(() => Continuant.Evaluate<double>(new double[17], guard)).Message);
        Assert.Throws<ArgumentException>(() => Continuant.Fill<double>([1, 2], new double[2]));
        Assert.Throws<ArgumentException>(() => Continuant.Gradient<double>([1, 2], guard, new double[1]));
        Assert.Throws<ArgumentException>(() => Continuant.Evaluate<double>(new double[5], 2, guard, new double[2]));
        Assert.Throws<ArgumentNullException>(() => Continuant.Evaluate<double>([1], null!));
        foreach (double epsilon in new[] { 0, -1, 1e-6, 1e6, double.NaN })
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => Continuant.Evaluate<double>([1], new SmoothGuard { Epsilon = epsilon }));
        }
    }

    // K_d, and K_{-1} = 0 for what is left of an empty ladder.
    private static double Last(double[] a)
    {
        var continuants = new double[a.Length + 1];
        Continuant.Fill<double>(a, continuants);
        return continuants[^1];
    }
}
