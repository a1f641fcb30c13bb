using CoFrGeNet.Configuration;
using CoFrGeNet.Torch.Cuda;
using CoFrGeNet.Torch.Tests.ContinuedFractions;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Cuda;

/// <summary>The kernels on a real device, against the CPU's. Without one all of them are skipped; a machine with one and -p:TorchBackend=cuda runs them.</summary>
public sealed class CudaDeviceTests
{
    private const string NoDevice = "no CUDA device; a machine with one runs it, built with -p:TorchBackend=cuda";

    public static TheoryData<string> Guards => FusedLaddersTests.Guards;

    [Fact]
    public void Kernels_compile_and_run()
    {
        Assert.SkipUnless(cuda.is_available(), NoDevice);
        (bool works, string found) = CudaLadders.Probe();
        Assert.True(works, found);
    }

    [Theory]
    [MemberData(nameof(Guards))]
    public void Ladders_are_those_of_the_cpu(string name)
    {
        Assert.SkipUnless(cuda.is_available(), NoDevice);
        PoleGuard guard = LadderSamples.Guard(name);
        foreach (ScalarType type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
        {
            foreach (int depth in new[] { 1, 2, 3, 5, 8, 16 })
            {
                using var scope = NewDisposeScope();
                Tensor a = LadderSamples.Random(1000, depth, 77, seed: depth).to_type(type), weights = LadderSamples.Random(1000, 1, 77, seed: 3).squeeze(1).to_type(type);
                using PoleStatistics here = new(), there = new();
                Tensor f = LadderFunction.Apply(a, guard, here), gradient = LadderSamples.Gradient(a, weights, x => LadderFunction.Apply(x, guard));
                Tensor fThere = LadderFunction.Apply(a.cuda(), guard, there).cpu();
                Tensor gradientThere = LadderSamples.Gradient(a.cuda(), weights.cuda(), x => LadderFunction.Apply(x, guard)).cpu();

                // Near a pole of the narrow guards a rounding of a continuant grows to 1e-3 of f, twice that of df/da; bfloat16 keeps 8 bits of both.
                double tolerance = type == ScalarType.BFloat16 ? 1e-2 : 1e-3;
                Assert.True(LadderSamples.Deviation(fThere, f, 1e-2) < tolerance, $"{type}, d = {depth}: f");
                Assert.True(LadderSamples.Deviation(gradientThere, gradient, 1e-1) < 2 * tolerance, $"{type}, d = {depth}: df/da");
                Assert.Equal(here.Count, there.Count);
                Assert.InRange(there.Guarded, here.Guarded - 2, here.Guarded + 2);
            }
        }
    }

    [Fact]
    public void Nothing_depends_on_the_order_of_threads()
    {
        Assert.SkipUnless(cuda.is_available(), NoDevice);
        using var scope = NewDisposeScope();
        Tensor g = randn(5000, 200).cuda(), levels = randn(3, 4, 200).cuda(), combine = randn(4, 200).cuda(), upstream = randn(5000, 200).cuda();
        Tensor[] first = ElementwiseFunction.Backward([g, levels, combine], PoleGuard.Default, upstream);
        for (int i = 0; i < 5; i++)
        {
            Tensor[] again = ElementwiseFunction.Backward([g, levels, combine], PoleGuard.Default, upstream);
            Assert.All(first.Zip(again), pair => Assert.True(pair.First.equal(pair.Second).all().item<bool>()));
        }
    }

    [Theory]
    [InlineData(LadderKind.Projected, null)]
    [InlineData(LadderKind.Elementwise, null)]
    [InlineData(LadderKind.Elementwise, 1.0)]
    public void A_small_model_trains_as_on_the_cpu(LadderKind kind, double? bias)
    {
        Assert.SkipUnless(cuda.is_available(), NoDevice);
        using var scope = NewDisposeScope();
        var config = new CffnConfig { Ladders = new() { Count = 5, Depth = 3, Kind = kind, Bias = bias, WeightStd = 0.3, OutputStd = 0.3 } };
        Dictionary<string, Tensor> here = LadderSamples.Step(config, CPU), there = LadderSamples.Step(config, CUDA);
        Assert.Equal(here.Keys, there.Keys);

        // Products of matrices sum in another order, and may run in TF32 on a device: 10 bits.
        Assert.All(here, entry => Assert.True(LadderSamples.Deviation(there[entry.Key], entry.Value, 0.1) < 1e-2, entry.Key));
    }
}
