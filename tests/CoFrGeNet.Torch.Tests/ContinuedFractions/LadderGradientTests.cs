using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.ContinuedFractions;

// Dimensions: n = rows (tokens), d = depth, L = number of ladders.

public class LadderGradientTests
{
    public static TheoryData<int> Depths => [1, 2, 3, 4, 5, 6, 7, 8];

    public static TheoryData<string, int> GuardsAndDepths
    {
        get
        {
            var data = new TheoryData<string, int>();
            foreach (string guard in new[] { "clamp", "smooth", "smooth-narrow", "positive" })
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
    [MemberData(nameof(Depths))]
    public void Value_and_gradient_equal_nested_division_away_from_poles(int depth)
    {
        using DisposeScope scope = NewDisposeScope();

        // Denominators of at least 1 keep every division of the reference far from 0, so that it is exact itself.
        Tensor a = LadderSamples.Random(50, depth, 7, seed: depth).abs() + 1;
        Tensor weights = LadderSamples.Random(50, 1, 7, seed: 100 + depth).squeeze(1);
        var guard = new ClampGuard();

        Tensor value = LadderFunction.Apply(a, guard);
        Tensor gradient = LadderSamples.Gradient(a, weights, x => LadderFunction.Apply(x, guard));

        // 3 d roundings of float64 (1e-16 each) with condition numbers up to some hundreds; the limit is the specification's.
        Assert.True(LadderSamples.Deviation(value, LadderReference.NestedDivision(a)) < 1e-12);
        Assert.True(LadderSamples.Deviation(gradient, LadderSamples.Gradient(a, weights, LadderReference.NestedDivision)) < 1e-10);
    }

    [Theory]
    [MemberData(nameof(Depths))]
    public void Gradient_equals_nested_division_for_either_sign(int depth)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor a = LadderSamples.Random(400, depth, 5, seed: 7 * depth);
        Tensor weights = ones(400, 5, ScalarType.Float64);
        var guard = new ClampGuard { Epsilon = 1e-5 };

        Tensor expected = LadderSamples.Gradient(a, weights, LadderReference.NestedDivision);
        Tensor actual = LadderSamples.Gradient(a, weights, x => LadderFunction.Apply(x, guard));

        // Next to a zero of any inner denominator the reference itself cancels; ladders with a large gradient are left out.
        Tensor calm = expected.abs().amax([-2], keepdim: true) < 1e2;
        Assert.True(calm.to_type(ScalarType.Float64).mean().item<double>() > 0.8);

        // Cancellation to 1e-2 costs two of the 16 digits twice; relative to each ladder's largest derivative.
        Tensor largest = expected.abs().amax([-2], keepdim: true);
        Tensor error = ((actual - expected).abs() / largest).where(calm, zeros_like(expected));
        Assert.True(error.max().item<double>() < 1e-10);
    }

    [Theory]
    [MemberData(nameof(GuardsAndDepths))]
    public void Gradient_equals_central_differences(string name, int depth)
    {
        using DisposeScope scope = NewDisposeScope();
        PoleGuard guard = LadderSamples.Guard(name);
        Tensor a = LadderSamples.Random(200, depth, 3, seed: 31 * depth);
        Tensor actual = LadderSamples.Gradient(a, ones(200, 3, ScalarType.Float64), x => LadderFunction.Apply(x, guard));

        const double Step = 1e-5;
        var columns = new Tensor[depth];
        for (int k = 0; k < depth; k++)
        {
            Tensor shift = zeros_like(a);
            shift.select(-2, k).fill_(Step);
            columns[k] = (LadderFunction.Apply(a + shift, guard) - LadderFunction.Apply(a - shift, guard)) / (2 * Step);
        }

        Tensor expected = stack(columns, -2);

        // The error of a central difference is Step^2 f''' / 6 and f''' grows with the fourth power of 1 / K_d; ladders with
        // |f'| < 20 have it below 1e-10 * 6 * 20^2. The clamp's closed form is not the derivative inside its zone: left out too.
        Tensor largest = actual.abs().amax([-2], keepdim: true);
        Tensor calm = largest < 20;
        Tensor error = ((actual - expected).abs() / (largest + 1)).where(calm, zeros_like(actual));
        Assert.True(calm.to_type(ScalarType.Float64).mean().item<double>() > 0.6);
        Assert.True(error.max().item<double>() < 1e-6, $"largest error {error.max().item<double>()}");
    }

    [Theory]
    [MemberData(nameof(GuardsAndDepths))]
    public void Tensors_and_spans_agree(string name, int depth)
    {
        using DisposeScope scope = NewDisposeScope();
        PoleGuard guard = LadderSamples.Guard(name);
        Tensor a = LadderSamples.Random(100, depth, 1, seed: 3 * depth, scale: 2);
        Tensor value = LadderFunction.Apply(a, guard);
        Tensor gradient = LadderSamples.Gradient(a, ones(100, 1, ScalarType.Float64), x => LadderFunction.Apply(x, guard));

        double[] denominators = a.data<double>().ToArray();
        double[] values = value.data<double>().ToArray();
        double[] gradients = gradient.contiguous().data<double>().ToArray();
        var expected = new double[depth];
        for (int row = 0; row < 100; row++)
        {
            ReadOnlySpan<double> ladder = denominators.AsSpan(row * depth, depth);
            double f = Continuant.Gradient(ladder, guard, expected);

            // The same operations in another order: some roundings of 1e-16 times the growth next to a pole (1 / eps).
            Assert.Equal(f, values[row], 1e-10 * (1 + Math.Abs(f)));
            double scale = 1 + expected.Max(Math.Abs);
            for (int k = 0; k < depth; k++)
            {
                Assert.Equal(expected[k], gradients[(row * depth) + k], 1e-10 * scale);
            }
        }
    }
}
