using CoFrGeNet.Torch.Cuda;
using CoFrGeNet.Torch.Tests.Mixers;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Cuda;

/// <summary>CAttnU on a CUDA device: compiled by g++ and run thread by thread, and on a real device where there is one.</summary>
public sealed class CudaUnivariateTests : IDisposable
{
    public static TheoryData<string, ScalarType> Cases
    {
        get
        {
            var cases = new TheoryData<string, ScalarType>();
            foreach (string name in MixerSamples.Names.Select(row => row.Data).Where(name => name.StartsWith("cattnu", StringComparison.Ordinal)))
            {
                cases.Add(name, ScalarType.Float32);
                cases.Add(name, ScalarType.BFloat16);
            }

            return cases;
        }
    }

    public void Dispose() => UnivariateFunction.Kernels.Emulation = null;

    [Theory]
    [MemberData(nameof(Cases))]
    public void Values_gradients_ranges_and_poles_are_those_of_tensor_operations(string name, ScalarType type)
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        using var scope = NewDisposeScope();
        Result here = Train(name, type, CPU);
        CudaKernels kernels = UnivariateFunction.Kernels.Emulation = UnivariateFunction.Kernels.NewKernels(cuda.NewToolkit());
        Result there = Train(name, type, CPU);
        Assert.Empty(kernels.Reported);
        RequireAlike(here, there, type);

        // The check's two rounds of four, the pass's four, and the evaluation's two.
        Assert.Equal(14, cuda.Launches);
        Assert.Equal(0, cuda.Contexts);
    }

    [Theory]
    [InlineData("nvrtcCompileProgram", 7, "univariate.cu does not compile")]
    [InlineData("cuModuleGetFunction", 500, "cuModuleGetFunction(univariate_forward) failed")]
    // After the check's eight launches.
    [InlineData("cuLaunchKernel", 701, "cuLaunchKernel failed", 8)]
    public void What_fails_is_done_by_tensor_operations(string call, int code, string reason, int after = 0)
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        using var scope = NewDisposeScope();
        Result here = Train("cattnu-maps", ScalarType.Float32, CPU);
        CudaKernels kernels = UnivariateFunction.Kernels.Emulation = UnivariateFunction.Kernels.NewKernels(cuda.NewToolkit());
        cuda.Fail(call, code, after);
        Result there = Train("cattnu-maps", ScalarType.Float32, CPU);
        Assert.Contains(reason, Assert.Single(kernels.Reported), StringComparison.Ordinal);
        RequireAlike(here, there, ScalarType.Float32);
    }

    [Theory]
    [InlineData("w[0] * x + f", "w[0] * x - f", "wrong ensembles")]
    [InlineData("gradient = fmaf(level, w[e][k + 1], gradient)", "gradient = fmaf(level, w[e][k], gradient)", "wrong gradients of ensembles")]
    [InlineData("sums[e][0] = fmaf(upstream, x, sums[e][0])", "sums[e][0] += upstream", "wrong gradients of an ensemble's weights")]
    [InlineData("load(first) * load(first +", "load(first) + load(first +", "wrong products of ensembles")]
    [InlineData("p.gradSums + second + at", "p.gradSums + at", "wrong gradients of products")]
    public void Kernels_that_compute_wrong_are_not_used(string text, string other, string reason)
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        using var scope = NewDisposeScope();
        Result here = Train("cattnu-relative", ScalarType.Float32, CPU);
        cuda.Replace(text, other);
        CudaKernels kernels = UnivariateFunction.Kernels.Emulation = UnivariateFunction.Kernels.NewKernels(cuda.NewToolkit());
        RequireAlike(here, Train("cattnu-relative", ScalarType.Float32, CPU), ScalarType.Float32);
        Assert.Contains(reason, Assert.Single(kernels.Reported), StringComparison.Ordinal);
    }

    // What the kernels do not do goes the other way: fewer levels, an observer, decoding with a cache, counting what is clipped, gradients outside training, weights of another type.
    [Fact]
    public void Other_uses_go_by_tensor_operations()
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        UnivariateFunction.Kernels.Emulation = UnivariateFunction.Kernels.NewKernels(cuda.NewToolkit());
        using var mixer = (CAttnU)MixerSamples.Create("cattnu-deep");
        Tensor x = randn(2, 7, MixerSamples.Width);
        mixer.ActiveLevels = 1;
        _ = mixer.forward(x);
        mixer.ActiveLevels = null;
        int seen = 0;
        mixer.Observer = _ => seen++;
        _ = mixer.forward(x);
        Assert.Equal(1, seen);
        mixer.Observer = null;
        using var cache = new MixerCache(MixerSamples.Context);
        _ = mixer.forward(x, cache);
        mixer.Range!.CountClipped = true;
        _ = mixer.forward(x);
        mixer.Range.CountClipped = false;

        // Clipping outside training stops gradients.
        using (enable_grad())
        {
            _ = mixer.forward(x);
        }

        mixer.to(ScalarType.BFloat16);
        _ = mixer.forward(x.to(ScalarType.BFloat16));
        Assert.Equal(0, cuda.Launches);
    }

    [Fact]
    public void A_real_device_does_as_the_cpu_does()
    {
        Assert.SkipUnless(cuda.is_available(), "no CUDA device; a machine with one runs it, built with -p:TorchBackend=cuda");
        using var scope = NewDisposeScope();
        foreach (var row in Cases)
        {
            (string name, ScalarType type) = row.Data;
            RequireAlike(Train(name, type, CPU), Train(name, type, CUDA), type);
        }

        Assert.Empty(UnivariateFunction.Kernels.Reported);
    }

    // One pass in training, and one with the range that it left, over other input.
    private static Result Train(string name, ScalarType type, Device device)
    {
        using var mixer = (CAttnU)MixerSamples.Create(name, device);
        mixer.train();
        mixer.ComputeType = type;
        foreach (Linear map in mixer.modules().OfType<Linear>())
        {
            map.ComputeType = type;
        }

        using var statistics = new PoleStatistics();
        mixer.Statistics = statistics;

        // Shorter than the context.
        Tensor x = FormulaWeights.Input(3, 7, MixerSamples.Width).to(device).requires_grad_();
        Tensor upstream = FormulaWeights.Input(3, 7, MixerSamples.Width).square().to(device);
        Tensor y = mixer.forward(x);
        (y.to(ScalarType.Float32) * upstream).sum().backward();
        mixer.eval();
        Tensor clipped;
        using (no_grad())
        {
            clipped = mixer.forward(x.square() * tensor(3f, device: device));
        }

        return new Result(
            [y.detach().cpu(), clipped.cpu(), x.grad!.cpu(), .. mixer.parameters().Select(parameter => parameter.grad!.cpu()), mixer.Range!.Low.cpu(), mixer.Range.High.cpu()],
            [statistics.Count, statistics.Guarded, statistics.MinDenominator, statistics.MaxOutput]);
    }

    private static void RequireAlike(Result expected, Result actual, ScalarType type)
    {
        // The composed path rounds its intermediate results to bfloat16 at other places.
        double tolerance = type == ScalarType.BFloat16 ? 3e-2 : 1e-5;
        Assert.Equal(expected.Tensors.Select(tensor => tensor.dtype), actual.Tensors.Select(tensor => tensor.dtype));
        foreach ((Tensor one, Tensor other) in expected.Tensors.Zip(actual.Tensors))
        {
            Tensor finite = one.to(ScalarType.Float64).nan_to_num(0, 1e30, -1e30), found = other.to(ScalarType.Float64).nan_to_num(0, 1e30, -1e30);
            double scale = Math.Max(1, finite.where(finite.abs() < 1e29, zeros_like(finite)).abs().max().item<double>());
            Assert.True((finite - found).abs().max().item<double>() <= tolerance * scale, $"off by {(finite - found).abs().max().item<double>()} of {scale}");
        }

        foreach ((double one, double other) in expected.Poles.Zip(actual.Poles))
        {
            Assert.Equal(one, other, Math.Max(1e-6, Math.Abs(one) * tolerance));
        }
    }

    private sealed record Result(Tensor[] Tensors, double[] Poles);
}
