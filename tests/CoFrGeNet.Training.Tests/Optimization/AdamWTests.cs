using CoFrGeNet.Torch.Tests.Models;
using static TorchSharp.torch;

namespace CoFrGeNet.Training.Tests.Optimization;

public class AdamWTests
{
    private static readonly TrainingConfig Config = new() { WeightDecay = 0.1, Beta1 = 0.9, Beta2 = 0.95, Epsilon = 1e-8 };

    public static TheoryData<string> GoldenNames => GoldenModels.Names;

    [Fact]
    public void Steps_are_those_of_the_published_algorithm_and_decay_is_for_matrices()
    {
        using var scope = NewDisposeScope();
        var matrix = new Parameter(tensor(new[] { 1f, -2f, 0.5f, 3f }, [2, 2]));
        var vector = new Parameter(tensor(new[] { 1f, -2f, 0.5f }));
        using var optimizer = new AdamW([new ComponentGroup(Component.Mixer, 0, [("matrix", matrix), ("vector", vector)])], Config);
        double[] a = [1, -2, 0.5, 3], b = [1, -2, 0.5];
        Reference forMatrix = new(a, decay: 0.1), forVector = new(b, decay: 0);
        for (var step = 1; step <= 6; step++)
        {
            var rate = 0.1 / step;
            double Gradient(int i) => Math.Sin((3 * step) + i) * (i == 1 ? 1e-3 : 2);
            double[] ga = [.. Enumerable.Range(0, 4).Select(Gradient)], gb = [.. Enumerable.Range(0, 3).Select(Gradient)];
            matrix.grad = tensor(ga.Select(v => (float)v).ToArray(), [2, 2]);
            vector.grad = tensor(gb.Select(v => (float)v).ToArray());
            optimizer.Step(rate);
            forMatrix.Step(ga, rate);
            forVector.Step(gb, rate);

            // float32 against double: a handful of roundings of 6e-8 a step on values up to 3.
            Assert.All(TrainingSamples.Values(matrix).Zip(a), pair => Assert.Equal(pair.Second, pair.First, 3e-6));
            Assert.All(TrainingSamples.Values(vector).Zip(b), pair => Assert.Equal(pair.Second, pair.First, 3e-6));
        }
    }

    [Theory]
    [MemberData(nameof(GoldenNames))]
    public void Losses_of_five_steps_are_those_of_the_reference(string name)
    {
        using var scope = NewDisposeScope();
        using var model = GoldenModels.Create(name);
        using var optimizer = new AdamW(ComponentGroup.Of(model), Config);
        var (tokens, targets) = GoldenModels.Batch();
        var golden = GoldenModels.Numbers(GoldenModels.Golden(name).GetProperty("stepLosses"));
        foreach (var expected in golden)
        {
            model.Loss(tokens, targets).backward();
            optimizer.Step(0.01);
            optimizer.ClearGradients();

            // float32 against float64. Early steps have the size of the rate whatever the gradient's, so where a gradient is near 0
            // its rounding decides the sign: a few weights out of thousands move by 0.01, along directions that hardly matter.
            Assert.Equal(expected, model.Loss(tokens, targets).item<float>(), 2e-4);
        }
    }

    [Fact]
    public void Gradients_cleared_on_the_way_are_those_cleared_afterwards()
    {
        using var scope = NewDisposeScope();
        var (together, apart) = (new Parameter(ones(3, 4)), new Parameter(ones(3, 4)));
        var frozen = new Parameter(ones(2)) { requires_grad = false };
        using var one = new AdamW([new ComponentGroup(Component.Mixer, 0, [("matrix", together), ("frozen", frozen)])], Config);
        using var two = new AdamW([new ComponentGroup(Component.Mixer, 0, [("matrix", apart)])], Config);
        for (var step = 0; step < 3; step++)
        {
            foreach (var (parameter, optimizer, clears) in new[] { (together, one, true), (apart, two, false) })
            {
                (parameter * parameter * arange(4)).sum().backward();
                optimizer.Step(0.1, clears: clears);
                Assert.Equal(clears, parameter.grad!.eq(0).all().item<bool>());
                optimizer.ClearGradients();
                Assert.True(parameter.grad!.eq(0).all().item<bool>());
            }

            Assert.Equal(TrainingSamples.Values(apart), TrainingSamples.Values(together));
        }

        // A step that is skipped clears nothing; what is called afterwards does.
        (together * 2).sum().backward();
        one.ClearGradients();
        Assert.True(together.grad!.eq(0).all().item<bool>());
    }

    [Fact]
    public void A_parameter_without_a_gradient_is_left_alone_and_has_no_state()
    {
        using var scope = NewDisposeScope();
        var first = new Parameter(ones(2, 2));
        var second = new Parameter(ones(2, 2));
        using var optimizer = new AdamW([new ComponentGroup(Component.Mixer, 0, [("first", first), ("second", second)])], Config);
        first.grad = ones(2, 2);
        optimizer.Step(0.1);
        Assert.Equal(["first"], optimizer.State.Select(entry => entry.Name));
        Assert.All(TrainingSamples.Values(second), value => Assert.Equal(1, value));
        second.grad = ones(2, 2);
        second.requires_grad = false;
        optimizer.ClearGradients();
        Assert.Null(second.grad);
        // The memory of the others is kept for the next pass.
        Assert.All(TrainingSamples.Values(first.grad!), value => Assert.Equal(0, value));
    }

    [Fact]
    public void Reserved_memory_changes_no_bit_and_is_no_state()
    {
        using var scope = NewDisposeScope();
        float[] Trained(bool reserves)
        {
            var weight = new Parameter(tensor(new[] { 1f, -2f, 0.5f, 3f }, [2, 2]));
            var frozen = new Parameter(ones(2, 2), requires_grad: false);
            using var optimizer = new AdamW([new ComponentGroup(Component.Mixer, 0, [("weight", weight), ("frozen", frozen)])], Config);
            if (reserves)
            {
                optimizer.Reserve();
                Assert.All(TrainingSamples.Values(weight.grad!), value => Assert.Equal(0, value));
                Assert.Null(frozen.grad);
                Assert.Empty(optimizer.State);
            }

            for (var step = 0; step < 3; step++)
            {
                (weight * weight * weight).sum().backward();
                optimizer.Step(0.1);
                optimizer.ClearGradients();
            }

            Assert.Equal(["weight"], optimizer.State.Select(entry => entry.Name));
            return [.. TrainingSamples.Values(weight).Select(value => (float)value)];
        }

        Assert.Equal(Trained(reserves: false), Trained(reserves: true));
    }

    [Fact]
    public void Ladders_move_by_their_share_of_the_learning_rate()
    {
        using var scope = NewDisposeScope();
        Parameter ladder = new(zeros(2)), other = new(zeros(2));
        ComponentGroup[] groups = [new(Component.Ladders, 0, [("ladder", ladder)]), new(Component.FeedForward, 0, [("other", other)])];
        using var optimizer = new AdamW(groups, Config with { LadderLearningRateShare = 0.25 });
        ladder.grad = ones(2);
        other.grad = ones(2);
        optimizer.Step(0.1);

        // The first step of AdamW has the size of the rate; float32 rounds it at 1e-8.
        Assert.All(TrainingSamples.Values(ladder), value => Assert.Equal(-0.025, value, 1e-7));
        Assert.All(TrainingSamples.Values(other), value => Assert.Equal(-0.1, value, 1e-7));
    }

    [Theory]
    [InlineData(null, 0.5)]
    [InlineData(0.1, 0.1)]
    [InlineData(0.0, 0.0)]
    public void Ladders_decay_as_they_are_told_or_like_all_else(double? own, double expected)
    {
        using var scope = NewDisposeScope();
        Parameter ladder = new(ones(2, 2)), other = new(ones(2, 2));
        ComponentGroup[] groups = [new(Component.Ladders, 0, [("ladder", ladder)]), new(Component.FeedForward, 0, [("other", other)])];
        using var optimizer = new AdamW(groups, Config with { WeightDecay = 0.5, LadderWeightDecay = own });
        ladder.grad = zeros(2, 2);
        other.grad = zeros(2, 2);
        optimizer.Step(0.1);

        // Without a gradient only the decay moves a weight: 1 - rate x decay, rounded to float32.
        Assert.All(TrainingSamples.Values(ladder), value => Assert.Equal(1 - (0.1 * expected), value, 1e-7));
        Assert.All(TrainingSamples.Values(other), value => Assert.Equal(0.95, value, 1e-7));
    }

    [Fact]
    public void A_restored_state_takes_the_place_of_the_old_one()
    {
        using var scope = NewDisposeScope();
        Parameter first = new(ones(2)), second = new(ones(2));
        using var optimizer = new AdamW([new ComponentGroup(Component.Mixer, 0, [("first", first), ("second", second)])], Config);
        first.grad = ones(2);
        optimizer.Step(0.1);
        optimizer.Restore([("second", ones(2), ones(2) * 2, 7)]);
        var state = Assert.Single(optimizer.State);
        Assert.Equal(("second", 7L), (state.Name, state.Steps));
        Assert.Equal([2, 2], TrainingSamples.Values(state.Square));
    }

    // Loshchilov and Hutter's AdamW with bias correction, written out.
    private sealed class Reference(double[] weights, double decay)
    {
        private readonly double[] _mean = new double[weights.Length];
        private readonly double[] _square = new double[weights.Length];
        private int _steps;

        public void Step(double[] gradient, double rate)
        {
            _steps++;
            for (var i = 0; i < weights.Length; i++)
            {
                _mean[i] = (0.9 * _mean[i]) + (0.1 * gradient[i]);
                _square[i] = (0.95 * _square[i]) + (0.05 * gradient[i] * gradient[i]);
                var mean = _mean[i] / (1 - Math.Pow(0.9, _steps));
                var square = _square[i] / (1 - Math.Pow(0.95, _steps));
                weights[i] = weights[i] - (rate * decay * weights[i]) - (rate * mean / (Math.Sqrt(square) + 1e-8));
            }
        }
    }
}
