using System.Runtime.InteropServices;
using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.ContinuedFractions;

// Dimensions: n = rows (tokens), d = depth, L = number of ladders.

public class LadderFunctionTests
{
    public static TheoryData<string> Guards => ["clamp", "smooth", "positive"];

    [Theory]
    [InlineData(ScalarType.BFloat16, 0.004)]
    [InlineData(ScalarType.Float16, 0.0005)]
    public void Half_precision_is_computed_in_float32(ScalarType type, double unitRoundoff)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor a = LadderSamples.Random(64, 3, 5, seed: 1).to_type(type);
        Tensor exact = a.to_type(ScalarType.Float32);
        Tensor weights = ones(64, 5);
        foreach (string name in new[] { "clamp", "smooth", "positive" })
        {
            PoleGuard guard = LadderSamples.Guard(name);
            Tensor value = LadderFunction.Apply(a, guard);
            Tensor gradient = LadderSamples.Gradient(a, weights.to_type(type), x => LadderFunction.Apply(x, guard));
            Assert.Equal(type, value.dtype);
            Assert.Equal(type, gradient.dtype);

            // One rounding, of the result: float32 inside leaves no other. The floor is for results in the denormal range of float16.
            Tensor expected = LadderFunction.Apply(exact, guard);
            Tensor expectedGradient = LadderSamples.Gradient(exact, weights, x => LadderFunction.Apply(x, guard));
            double largest = type == ScalarType.Float16 ? (double)System.Half.MaxValue : float.MaxValue;
            Assert.True(LadderSamples.Deviation(value.to_type(ScalarType.Float32), expected.clamp(-largest, largest), 1e-4) < unitRoundoff);
            Assert.True(
                LadderSamples.Deviation(gradient.to_type(ScalarType.Float32), expectedGradient.clamp(-largest, largest), 1e-4) < unitRoundoff);
        }
    }

    [Theory]
    [MemberData(nameof(Guards))]
    public void Strided_views_give_the_contiguous_result(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        PoleGuard guard = LadderSamples.Guard(name);
        Tensor a = LadderSamples.Random(6, 4, 5, seed: 2).to_type(ScalarType.Float32).unsqueeze(0).expand(2, -1, -1, -1).contiguous();
        Tensor weights = LadderSamples.Random(12, 1, 5, seed: 3).to_type(ScalarType.Float32).reshape(2, 6, 5);
        Tensor value = LadderFunction.Apply(a, guard);
        Tensor gradient = LadderSamples.Gradient(a, weights, x => LadderFunction.Apply(x, guard));
        var views = new Dictionary<string, Func<Tensor, Tensor>>
        {
            ["levels outermost"] = x => x.movedim([-2], [0]).contiguous().movedim([0], [-2]),
            ["ladders outermost"] = x => x.transpose(-1, 0).contiguous().transpose(-1, 0),
            ["levels innermost"] = x => x.transpose(-1, -2).contiguous().transpose(-1, -2),
            ["every other column"] = x => stack([x, x.neg()], -1).flatten(-2)[TensorIndex.Ellipsis, TensorIndex.Slice(null, null, 2)],
        };

        // Bit-equal, but for softplus and the logistic function: libtorch's vector and scalar code for them differ in the last bits.
        double limit = guard is PositiveGuard ? 1e-5 : 0;
        foreach ((string view, Func<Tensor, Tensor> make) in views)
        {
            Assert.True(LadderSamples.Deviation(LadderFunction.Apply(make(a), guard), value, 1e-3) <= limit, view);
            Tensor viewGradient = LadderSamples.Gradient(a, weights, x => LadderFunction.Apply(make(x), guard));
            Assert.True(LadderSamples.Deviation(viewGradient, gradient, 1e-3) <= limit, view);
        }

        Tensor broadcast = LadderSamples.Gradient(a[0, 0].alias(), weights, x => LadderFunction.Apply(x.expand(2, 6, 4, 5), guard));
        Tensor summed = LadderSamples.Gradient(a[0, 0].expand(2, 6, 4, 5).contiguous(), weights, x => LadderFunction.Apply(x, guard)).sum([0, 1]);

        // The same 12 float32 numbers summed in another order.
        Assert.True(LadderSamples.Deviation(broadcast, summed, 1e-1) < 1e-4);
    }

    [Fact]
    public void A_level_outermost_input_gets_a_gradient_of_its_own_layout()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor a = rand(3, 8, 5).movedim([0], [-2]);
        LadderRange range = LadderRange.For(3, 127, PoleGuard.Default);
        Tensor gradient = LadderKernel.Backward(a, PoleGuard.Default, range, ones(8, 5));
        Assert.Equal(a.shape, gradient.shape);
        Assert.Equal(a.stride(), gradient.stride());
    }

    [Fact]
    public void Two_dimensions_and_empty_batches_work()
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.Equal([5], LadderFunction.Apply(rand(3, 5), PoleGuard.Default).shape);
        Tensor empty = zeros(0, 3, 5);
        Assert.Equal([0, 5], LadderFunction.Apply(empty, PoleGuard.Default).shape);
        Assert.Equal([0, 3, 5], LadderSamples.Gradient(empty, zeros(0, 5), x => LadderFunction.Apply(x, PoleGuard.Default)).shape);
    }

    [Fact]
    public void The_graph_is_built_only_where_a_gradient_is_wanted()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor leaf = rand(4, 3, 5).requires_grad_(true);
        Assert.True(LadderFunction.Apply(leaf, PoleGuard.Default).requires_grad);
        Assert.False(LadderFunction.Apply(leaf.detach(), PoleGuard.Default).requires_grad);
        using (no_grad())
        {
            Assert.False(LadderFunction.Apply(leaf, PoleGuard.Default).requires_grad);
        }
    }

    [Fact]
    public void Several_uses_of_one_input_add_up()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor a = LadderSamples.Random(4, 3, 5, seed: 9);
        Tensor once = LadderSamples.Gradient(a, ones(4, 5, ScalarType.Float64), x => LadderFunction.Apply(x, PoleGuard.Default));
        Tensor twice = LadderSamples.Gradient(
            a,
            ones(4, 5, ScalarType.Float64),
            x => LadderFunction.Apply(x * 1, PoleGuard.Default) + LadderFunction.Apply(x * 1, PoleGuard.Default));
        Assert.True(twice.equal(once * 2).all().item<bool>());
    }

    [Fact]
    public void A_kept_graph_can_be_gone_through_again()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor leaf = rand(4, 3, 5).requires_grad_(true);
        Tensor loss = LadderFunction.Apply(leaf, PoleGuard.Default).sum();
        loss.backward(retain_graph: true);
        Tensor first = leaf.grad!.clone();
        loss.backward();
        Assert.True(leaf.grad!.equal(first * 2).all().item<bool>());
    }

    [Fact]
    public void Changing_the_input_in_place_before_backward_is_an_ordinary_error()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor leaf = rand(4, 3, 5).requires_grad_(true);
        Tensor a = leaf * 1;
        Tensor loss = LadderFunction.Apply(a, PoleGuard.Default).sum();
        a.mul_(2);
        Assert.Throws<ExternalException>(() => loss.backward());
        Assert.Null(leaf.grad);
    }

    [Fact]
    public void Wrong_arguments_are_refused_with_value_and_limit()
    {
        using DisposeScope scope = NewDisposeScope();
        PoleGuard guard = PoleGuard.Paper;
        Assert.Throws<ArgumentNullException>(() => LadderFunction.Apply(null!, guard));
        Assert.Throws<ArgumentNullException>(() => LadderFunction.Apply(ones(3, 2), null!));
        Assert.Contains("1 dimensions", Assert.Throws<ArgumentException>(() => LadderFunction.Apply(ones(3), guard)).Message);
        Assert.Contains("Int64", Assert.Throws<ArgumentException>(() => LadderFunction.Apply(ones(3, 2, ScalarType.Int64), guard)).Message);
        Assert.Contains("1 to 16", Assert.Throws<ArgumentOutOfRangeException>(() => LadderFunction.Apply(ones(4, 0, 2), guard)).Message);
        Assert.Contains("is 17", Assert.Throws<ArgumentOutOfRangeException>(() => LadderFunction.Apply(ones(4, 17, 2), guard)).Message);
        foreach (double epsilon in new[] { 0, -1, 1e-6, 1e6, double.NaN })
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => LadderFunction.Apply(ones(3, 2), new ClampGuard { Epsilon = epsilon }));
        }

        Assert.Throws<ArgumentException>(() => LadderReference.NestedDivision(ones(3)));
        Assert.Throws<ArgumentException>(() => LadderReference.NestedDivision(ones(0, 3)));
    }
}
