using CoFrGeNet.Configuration;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.ContinuedFractions;

// Dimensions: n = rows (tokens), d = depth, L = number of ladders.

public class FusedLaddersTests : IDisposable
{
    public static TheoryData<string> Guards => ["clamp", "smooth", "smooth-narrow", "positive"];

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing) => LadderFunction.Backend = LadderBackend.Fused;

    [Theory]
    [MemberData(nameof(Guards))]
    public void Fused_and_composed_agree_in_every_layout(string name)
    {
        PoleGuard guard = LadderSamples.Guard(name);
        var layouts = new Dictionary<string, Func<Tensor, Tensor>>
        {
            ["contiguous"] = x => x,
            ["levels outermost"] = x => x.movedim([-2], [0]).contiguous().movedim([0], [-2]),
            ["a slice of rows"] = x => cat([x, x.neg()], 0).narrow(0, 0, x.size(0)),
            ["a slice of ladders"] = x => cat([x, x.neg()], -1).narrow(-1, 0, x.size(-1)),
            ["a slice of levels"] = x => cat([x, x.neg()], -2).narrow(-2, 0, x.size(-2)),
            ["backwards rows"] = x => x.flip(0).contiguous().flip(0),
            ["levels innermost"] = x => x.transpose(-1, -2).contiguous().transpose(-1, -2),
        };
        foreach ((int rows, int depth, int ladders) in new[] { (5, 1, 17), (33, 3, 16), (7, 5, 40), (2, 16, 3) })
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor a = LadderSamples.Random(rows, depth, ladders, seed: depth).to_type(ScalarType.Float32);
            Tensor weights = LadderSamples.Random(rows, 1, ladders, seed: 3).to_type(ScalarType.Float32).squeeze(1);
            foreach ((string layout, Func<Tensor, Tensor> make) in layouts)
            {
                (Tensor fused, Tensor fusedGradient) = Evaluate(LadderBackend.Fused);
                (Tensor composed, Tensor composedGradient) = Evaluate(LadderBackend.Composed);

                // Float32 against float32: near a pole of the narrow guards a rounding of a continuant grows to 1e-4 of f, twice that of df/da.
                Assert.True(LadderSamples.Deviation(fused, composed, 1e-2) < 1e-3, $"{layout}, d = {depth}: f");
                Assert.True(LadderSamples.Deviation(fusedGradient, composedGradient, 1e-1) < 2e-3, $"{layout}, d = {depth}: df/da");

                (Tensor Value, Tensor Gradient) Evaluate(LadderBackend backend)
                {
                    LadderFunction.Backend = backend;
                    return (LadderFunction.Apply(make(a), guard), LadderSamples.Gradient(a, weights, x => LadderFunction.Apply(make(x), guard)));
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Guards))]
    public void Statistics_and_ranges_are_the_same(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        PoleGuard guard = LadderSamples.Guard(name);
        Tensor a = LadderSamples.Random(50, 3, 19, seed: 4).to_type(ScalarType.Float32);
        (Tensor[] Tensors, PoleStatistics Statistics) Evaluate(LadderBackend backend)
        {
            LadderFunction.Backend = backend;
            var statistics = new PoleStatistics();
            var range = new OutputRange(ModuleOptions.Default, 19);
            LadderFunction.Apply(a * 0.5, guard, statistics, range);
            LadderFunction.Apply(a * 0.3, guard, statistics, range);
            range.eval();
            Tensor leaf = a.detach().requires_grad_(true);
            Tensor clipped = LadderFunction.Apply(leaf, guard, null, range);
            clipped.sum().backward();
            return ([.. range.buffers(), LadderFunction.Apply(a, guard, null, range), clipped, leaf.grad!], statistics);
        }

        (Tensor[] fused, PoleStatistics fusedStatistics) = Evaluate(LadderBackend.Fused);
        (Tensor[] composed, PoleStatistics composedStatistics) = Evaluate(LadderBackend.Composed);
        for (int i = 0; i < fused.Length; i++)
        {
            Assert.True(LadderSamples.Deviation(fused[i], composed[i], 1e-1) < 2e-3, $"tensor {i}");
        }

        Assert.Equal((composedStatistics.Count, composedStatistics.Guarded), (fusedStatistics.Count, fusedStatistics.Guarded));
        Assert.Equal(composedStatistics.MinDenominator, fusedStatistics.MinDenominator, 1e-6);
        Assert.Equal(composedStatistics.MaxOutput, fusedStatistics.MaxOutput, 1e-3 * composedStatistics.MaxOutput);
        fusedStatistics.Dispose();
        composedStatistics.Dispose();
    }

    [Theory]
    [InlineData("clamp", 5, null)]
    [InlineData("smooth", 5, null)]
    [InlineData("smooth", 1, null)]
    [InlineData("smooth", 10, null)]
    [InlineData("positive", 3, null)]
    [InlineData("smooth", 3, 0.5)]
    [InlineData("clamp", 2, 1.0)]
    public void An_elementwise_cffn_is_the_same_in_training_and_outside(string name, int depth, double? bias)
    {
        var config = new CffnConfig
        {
            Ladders = new() { Count = 3, Depth = depth, Kind = LadderKind.Elementwise, Guard = LadderSamples.Guard(name), Bias = bias, WeightStd = 0.5, OutputStd = 0.5 },
        };
        using DisposeScope scope = NewDisposeScope();
        Dictionary<string, Tensor> fused = Evaluate(LadderBackend.Fused), composed = Evaluate(LadderBackend.Composed);
        Assert.Equal(composed.Keys, fused.Keys);
        Assert.All(fused, entry => Assert.True(LadderSamples.Deviation(entry.Value, composed[entry.Key], 1e-1) < 2e-3, entry.Key));

        Dictionary<string, Tensor> Evaluate(LadderBackend backend)
        {
            LadderFunction.Backend = backend;
            using var cffn = new Cffn(21, config);
            FormulaWeights.Fill(cffn, 0.5);
            Tensor x = FormulaWeights.Input(4, 9, 21).requires_grad_(true);
            Tensor y = cffn.forward(x);
            (y * FormulaWeights.Input(4, 9, 21)).sum().backward();
            var results = new Dictionary<string, Tensor> { ["y"] = y.detach(), ["dx"] = x.grad! };
            foreach ((string parameter, Tensor value) in cffn.named_parameters())
            {
                results["d " + parameter] = value.grad!.clone();
            }

            foreach ((string buffer, Tensor value) in cffn.named_buffers())
            {
                results[buffer] = value.clone();
            }

            cffn.eval();
            using var statistics = new PoleStatistics();
            cffn.Ladders.Statistics = statistics;
            Tensor far = FormulaWeights.Input(4, 9, 21) * 20;
            results["clipped, differentiable"] = cffn.forward(far).detach();
            using (no_grad())
            {
                results["clipped"] = cffn.forward(far);
            }

            results["count"] = tensor((double)statistics.Count);
            return results;
        }
    }

    [Fact]
    public void An_elementwise_cffn_takes_bfloat16_and_no_tokens()
    {
        using DisposeScope scope = NewDisposeScope();
        using Tensor levels = rand(3, 2, 20).requires_grad_(true), combine = rand(2, 20).requires_grad_(true);
        Tensor g = rand(6, 20).to_type(ScalarType.BFloat16).requires_grad_(true);
        Tensor y = ElementwiseFunction.Apply(g, levels, null, combine, PoleGuard.Default, null, null);
        Tensor wide = ElementwiseFunction.Apply(g.to_type(ScalarType.Float32), levels, null, combine, PoleGuard.Default, null, null);
        Assert.Equal(ScalarType.Float32, y.dtype);
        Assert.True(y.equal(wide).all().item<bool>());
        y.sum().backward();
        Assert.Equal(ScalarType.BFloat16, g.grad!.dtype);

        Tensor none = zeros(0, 20).requires_grad_(true);
        Tensor empty = ElementwiseFunction.Apply(none, levels, null, combine, PoleGuard.Default, null, null);
        Assert.Equal([0, 20], empty.shape);
        levels.grad!.zero_();
        empty.sum().backward();
        Assert.Equal(0, levels.grad!.abs().sum().item<float>());
    }

    [Fact]
    public void Elementwise_shapes_that_do_not_fit_are_refused()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor g = rand(6, 20);
        Assert.Throws<ArgumentException>(() => ElementwiseFunction.Apply(g, rand(3, 2, 21), null, rand(2, 20), PoleGuard.Default, null, null));
        Assert.Throws<ArgumentException>(() => ElementwiseFunction.Apply(g, rand(3, 2, 20), null, rand(3, 20), PoleGuard.Default, null, null));
        Assert.Throws<ArgumentException>(() => ElementwiseFunction.Apply(g, rand(3, 2, 20), rand(3, 20), rand(2, 20), PoleGuard.Default, null, null));
        Assert.Throws<ArgumentOutOfRangeException>(() => ElementwiseFunction.Apply(g, rand(17, 2, 20), null, rand(2, 20), PoleGuard.Default, null, null));
        Tensor strided = rand(20, 6).t();
        Tensor levels = rand(3, 2, 20), combine = rand(2, 20);
        Assert.True(ElementwiseFunction.Apply(strided, levels, null, combine, PoleGuard.Default, null, null)
            .equal(ElementwiseFunction.Apply(strided.contiguous(), levels, null, combine, PoleGuard.Default, null, null)).all().item<bool>());
    }
}
