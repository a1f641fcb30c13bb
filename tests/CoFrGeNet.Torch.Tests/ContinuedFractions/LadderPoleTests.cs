using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.ContinuedFractions;

// Dimensions: n = rows (tokens), d = depth, L = number of ladders.

public class LadderPoleTests
{
    public static TheoryData<string, int> GuardsAndDepths => LadderGradientTests.GuardsAndDepths;

    // Name, guard (clamp: eps 0.01, smooth: eps 1), a_1 .. a_d, f, df/da_1 .. df/da_d; worked out by hand.
    public static TheoryData<string, string, double[], double, double[]> Poles => new()
    {
        { "pole, one level", "clamp", [0], 100, [-1e4] },
        { "negative zero counts as positive", "clamp", [-0.0], 100, [-1e4] },
        { "negative zeros at every level", "clamp", [-0.0, -0.0, -0.0], 100, [-1e4, 0, -1e4] },
        { "pole, two levels", "clamp", [1, -1], -100, [-1e4, 1e4] },
        { "at +eps", "clamp", [0.01], 100, [-1e4] },
        { "at -eps", "clamp", [-0.01], -100, [-1e4] },
        { "inside, positive", "clamp", [0.005], 100, [-1e4] },
        { "inside, negative", "clamp", [-0.005], -100, [-1e4] },
        { "just outside +eps", "clamp", [0.0125], 80, [-6400] },
        { "just outside -eps", "clamp", [-0.0125], -80, [-6400] },
        { "denormal", "clamp", [1e-40], 100, [-1e4] },
        { "negative denormal", "clamp", [-1e-40], -100, [-1e4] },
        { "all zeros, even depth", "clamp", [0, 0, 0, 0], 0, [0, 1, 0, 1] },
        { "all zeros, odd depth", "clamp", [0, 0, 0], 100, [-1e4, 0, -1e4] },
        { "alternating signs", "clamp", [1, -1, 1, -1], 1, [-1, 0, -1, 1] },
        { "pole, one level", "smooth", [0], 0, [1] },
        { "at +eps", "smooth", [1], 0.5, [0] },
        { "at -eps", "smooth", [-1], -0.5, [0] },
        { "outside", "smooth", [2], 0.4, [-0.12] },
        { "pole, two levels", "smooth", [1, -1], 0, [1, -1] },
        { "all zeros, even depth", "smooth", [0, 0, 0, 0], 0, [0, 0.5, 0, 0.5] },
        { "all zeros, odd depth", "smooth", [0, 0, 0], 0, [1, 0, 1] },
        { "denormal", "smooth", [1e-40], 0, [1] },
        { "far below zero", "positive", [-1e30], 100, [0] },
    };

    [Theory]
    [MemberData(nameof(Poles))]
    public void A_named_pole_has_the_expected_value_and_gradient(string name, string guardName, double[] a, double f, double[] gradient)
    {
        using DisposeScope scope = NewDisposeScope();
        PoleGuard guard = LadderSamples.Guard(guardName);
        foreach (ScalarType type in new[] { ScalarType.Float32, ScalarType.Float64 })
        {
            Tensor input = tensor(a, [a.Length, 1]).to_type(type);
            Tensor value = LadderFunction.Apply(input, guard);
            Tensor actual = LadderSamples.Gradient(input, ones(1, type), x => LadderFunction.Apply(x, guard));

            // Single operations on small exact numbers; eps = 0.01 and its reciprocal carry float32's rounding, 1e-7, squared;
            // a denormal may count as 0.
            Assert.True(Math.Abs(value.to_type(ScalarType.Float64).item<double>() - f) <= Math.Max(1e-30, 5e-7 * Math.Abs(f)), $"{name}: f");
            for (int k = 0; k < a.Length; k++)
            {
                double derivative = actual[k, 0].to_type(ScalarType.Float64).item<double>();
                Assert.True(Math.Abs(derivative - gradient[k]) <= 5e-7 * Math.Max(1, Math.Abs(gradient[k])), $"{name}: df/da_{k + 1} = {derivative}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(GuardsAndDepths))]
    public void Nothing_overflows_whatever_the_input(string guardName, int depth)
    {
        using DisposeScope scope = NewDisposeScope();
        PoleGuard guard = LadderSamples.Guard(guardName);
        float[] hard =
        [
            0, -0f, float.Epsilon, -float.Epsilon, 1e-20f, -1e-20f, 0.01f, -0.01f, 1, -1, 130, -130, 1e5f, -1e5f, 1e10f, -1e10f,
            1e19f, -1e19f, 1e30f, -1e30f, float.MaxValue, -float.MaxValue, float.PositiveInfinity, float.NegativeInfinity,
        ];
        var random = new Random(depth);
        var values = new float[4000 * depth];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = hard[random.Next(hard.Length)];
        }

        Tensor a = tensor(values, [4000, depth, 1]);
        foreach (ScalarType type in new[] { ScalarType.Float32, ScalarType.Float64, ScalarType.BFloat16, ScalarType.Float16 })
        {
            Tensor input = a.to_type(type);
            Assert.True(LadderSamples.IsFinite(LadderFunction.Apply(input, guard)), $"f, {type}");
            Assert.True(
                LadderSamples.IsFinite(LadderSamples.Gradient(input, ones(4000, 1, type), x => LadderFunction.Apply(x, guard))), $"df/da, {type}");
        }

        var gradient = new float[depth];
        for (int row = 0; row < 4000; row++)
        {
            Assert.True(float.IsFinite(Continuant.Gradient(values.AsSpan(row * depth, depth), guard, gradient)));
            Assert.All(gradient, x => Assert.True(float.IsFinite(x)));
        }
    }

    [Theory]
    [InlineData("clamp")]
    [InlineData("smooth")]
    public void Large_denominators_inside_the_bound_are_exact(string guardName)
    {
        using DisposeScope scope = NewDisposeScope();
        PoleGuard guard = LadderSamples.Guard(guardName);
        for (int depth = 1; depth <= 8; depth++)
        {
            double bound = LadderRange.For<float>(depth, guard).Bound;
            Tensor a = (LadderSamples.Random(300, depth, 1, seed: depth).abs() * (bound / 8)) + 1e3;
            Tensor value = LadderFunction.Apply(a.to_type(ScalarType.Float32), guard);

            // Rounding of a itself (6e-8) and three operations; the smooth guard's eps changes 1 / K_d by (1 / K_d)^2 <= 1e-6.
            Assert.True(LadderSamples.Deviation(value.to_type(ScalarType.Float64), LadderReference.NestedDivision(a)) < 3e-6, $"d = {depth}");
        }
    }

    [Theory]
    [InlineData("clamp")]
    [InlineData("smooth")]
    [InlineData("positive")]
    public void A_denominator_beyond_the_bound_acts_like_infinity(string guardName)
    {
        using DisposeScope scope = NewDisposeScope();
        PoleGuard guard = LadderSamples.Guard(guardName);
        for (int depth = 2; depth <= 8; depth++)
        {
            Tensor a = full([1, depth, 1], 0.75);
            a[0, 1, 0] = tensor(float.MaxValue);
            using Tensor finite = LadderFunction.Apply(a, guard);
            a[0, 1, 0] = tensor(float.PositiveInfinity);
            Assert.Equal(LadderFunction.Apply(a, guard).item<float>(), finite.item<float>());
            double expected = guard is PositiveGuard ? 1 / (Math.Log(1 + Math.Exp(0.75)) + 0.01) : 1 / 0.75;

            // a_2 is held at 2^14 or more: 1 / a_2 <= 6.2e-5, times f^2 <= 2, and the smooth guard's (eps / K_d)^2 <= 1e-8.
            Assert.Equal(expected, finite.item<float>(), 2e-4);
        }
    }

    [Fact]
    public void Nan_in_is_nan_out()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor a = tensor(new[] { 1f, float.NaN, 2f }, [3, 1]);
        foreach (string name in new[] { "clamp", "smooth", "positive" })
        {
            Assert.True(float.IsNaN(LadderFunction.Apply(a, LadderSamples.Guard(name)).item<float>()));
        }
    }

    [Fact]
    public void A_nan_in_the_incoming_gradient_is_not_hidden()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weights = full([1], float.NaN);
        foreach (string name in new[] { "clamp", "smooth", "positive" })
        {
            Tensor gradient = LadderSamples.Gradient(ones(5, 1), weights, x => LadderFunction.Apply(x, LadderSamples.Guard(name)));
            Assert.True(gradient.isnan().all().item<bool>());
        }
    }
}
