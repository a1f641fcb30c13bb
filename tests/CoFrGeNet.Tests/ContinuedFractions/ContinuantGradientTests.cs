using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;

namespace CoFrGeNet.Tests.ContinuedFractions;

// Dimensions: d = depth, k = level (1 = outermost).

public class ContinuantGradientTests
{
    public static TheoryData<PoleGuard, int> GuardsAndDepths
    {
        get
        {
            var data = new TheoryData<PoleGuard, int>();
            foreach (PoleGuard guard in new PoleGuard[]
                { new ClampGuard(), new SmoothGuard(), new SmoothGuard { Epsilon = 0.01 }, new PositiveGuard() })
            {
                for (int depth = 1; depth <= 8; depth++)
                {
                    data.Add(guard, depth);
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(GuardsAndDepths))]
    public void Gradient_equals_central_differences(PoleGuard guard, int depth)
    {
        const double Step = 1e-5;
        var random = new Random(depth);
        int checkedLadders = 0;
        for (int trial = 0; trial < 300; trial++)
        {
            double[] a = [.. Enumerable.Range(0, depth).Select(_ => (4 * random.NextDouble()) - 2)];
            var gradient = new double[depth];
            double f = Continuant.Gradient<double>(a, guard, gradient);
            Assert.Equal(Continuant.Evaluate<double>(a, guard), f, 1e-12 * (1 + Math.Abs(f)));
            double largest = gradient.Max(Math.Abs);
            if (largest >= 20)
            {
                // Next to a pole central differences are too coarse, and the clamp's closed form is no derivative inside its zone.
                continue;
            }

            checkedLadders++;
            for (int k = 0; k < depth; k++)
            {
                double[] up = [.. a];
                double[] down = [.. a];
                up[k] += Step;
                down[k] -= Step;
                double expected = (Continuant.Evaluate<double>(up, guard) - Continuant.Evaluate<double>(down, guard)) / (2 * Step);

                // Step^2 f''' / 6 with |f'''| below some 20^2 * 6, and 1e-16 / Step of rounding.
                Assert.Equal(expected, gradient[k], 1e-6 * (1 + largest));
            }
        }

        Assert.True(checkedLadders > 150, $"{checkedLadders} of 300 ladders checked");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(8)]
    public void Smooth_gradient_equals_its_recurrence_in_prefix_continuants(int depth)
    {
        // df/da_k = K_{d-k} P_{k-1}, P_{-1} = r, P_0 = r' K_{d-1}, P_k = a_k P_{k-1} + P_{k-2}: the derivative term by term.
        const double Epsilon = 0.5;
        var random = new Random(depth);
        for (int trial = 0; trial < 200; trial++)
        {
            double[] a = [.. Enumerable.Range(0, depth).Select(_ => (4 * random.NextDouble()) - 2)];
            var continuants = new double[depth + 1];
            Continuant.Fill<double>(a, continuants);
            double last = continuants[depth];
            double square = (last * last) + (Epsilon * Epsilon);
            double before = last / square;
            double current = ((Epsilon * Epsilon) - (last * last)) / (square * square) * continuants[depth - 1];
            var gradient = new double[depth];
            Continuant.Gradient<double>(a, new SmoothGuard { Epsilon = Epsilon }, gradient);
            double size = 1;
            for (int k = 1; k <= depth; k++)
            {
                double expected = continuants[depth - k] * current;
                size = Math.Max(size, Math.Abs(continuants[depth - k]) * (Math.Abs(current) + Math.Abs(before)));

                // Rounding, relative to the largest term: the recurrence cancels where the closed form does not.
                Assert.Equal(expected, gradient[k - 1], 1e-11 * size * size);
                (before, current) = (current, (a[k - 1] * current) + before);
            }
        }
    }

    [Fact]
    public void A_narrow_smooth_guard_becomes_proposition_one()
    {
        double[] a = [1.5, -0.7, 2.0, 0.9, 1.1];
        var narrow = new double[5];
        var exact = new double[5];
        Continuant.Gradient<double>(a, new SmoothGuard { Epsilon = 1e-5 }, narrow);
        Continuant.Gradient<double>(a, new ClampGuard(), exact);
        for (int k = 0; k < 5; k++)
        {
            // The guard changes 1 / K_d by the share (eps / K_d)^2, some 1e-10 of these moderate numbers.
            Assert.Equal(exact[k], narrow[k], 1e-8);
        }
    }

    [Fact]
    public void Poles_have_the_values_of_the_clamp()
    {
        Assert.Equal((100.0, -1e4), OneLevel(0.0, new ClampGuard()));
        Assert.Equal((100.0, -1e4), OneLevel(-0.0, new ClampGuard()));
        Assert.Equal((100.0, -1e4), OneLevel(0.01, new ClampGuard()));
        Assert.Equal((-100.0, -1e4), OneLevel(-0.01, new ClampGuard()));
        Assert.Equal((-100.0, -1e4), OneLevel(-double.Epsilon, new ClampGuard()));
        Assert.Equal((80.0, -6400.0), OneLevel(0.0125, new ClampGuard()));
        Assert.Equal((0.0, 1.0), OneLevel(0.0, new SmoothGuard()));
        Assert.Equal((0.5, 0.0), OneLevel(1.0, new SmoothGuard()));
    }

    [Fact]
    public void Every_depth_up_to_the_limit_stays_finite()
    {
        float[] hard = [0, -0f, float.Epsilon, 0.01f, -1, 1e4f, -1e10f, 1e19f, float.MaxValue, -float.MaxValue, float.NegativeInfinity];
        var random = new Random(5);
        foreach (double epsilon in new[] { LadderRange.MinEpsilon, 0.01, 1, LadderRange.MaxEpsilon })
        {
            foreach (PoleGuard guard in new PoleGuard[]
                { new ClampGuard { Epsilon = epsilon }, new SmoothGuard { Epsilon = epsilon }, new PositiveGuard { Epsilon = epsilon } })
            {
                for (int depth = 1; depth <= LadderRange.MaxDepth; depth++)
                {
                    var gradient = new float[depth];
                    for (int trial = 0; trial < 300; trial++)
                    {
                        float[] a = [.. Enumerable.Range(0, depth).Select(_ => hard[random.Next(hard.Length)])];
                        string input = $"{guard}, a = {string.Join(' ', a)}";
                        Assert.True(float.IsFinite(Continuant.Gradient<float>(a, guard, gradient)), input);
                        Assert.True(gradient.All(float.IsFinite), input);
                    }
                }
            }
        }
    }

    [Theory]
    [InlineData(1, 63)]
    [InlineData(2, 42)]
    [InlineData(3, 31)]
    [InlineData(4, 25)]
    [InlineData(5, 21)]
    [InlineData(6, 18)]
    [InlineData(7, 15)]
    [InlineData(8, 14)]
    public void The_bound_on_denominators_is_the_documented_one(int depth, int exponent) =>
        Assert.Equal(Math.Pow(2, exponent), LadderRange.For<float>(depth, PoleGuard.Default).Bound);

    private static (double Value, double Derivative) OneLevel(double a, PoleGuard guard)
    {
        var gradient = new double[1];
        double f = Continuant.Gradient([a], guard, gradient);

        // 1 / 0.01 and its square carry one rounding each.
        return (Math.Round(f, 10), Math.Round(gradient[0], 8));
    }
}
