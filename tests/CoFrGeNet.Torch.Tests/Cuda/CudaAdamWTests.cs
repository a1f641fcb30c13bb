using CoFrGeNet.Kernels;
using CoFrGeNet.Tests.Kernels;
using CoFrGeNet.Torch.Cuda;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Cuda;

/// <summary>AdamW's update on a CUDA device: compiled by g++ and run thread by thread, and on a real device where there is one.</summary>
public sealed class CudaAdamWTests : IDisposable
{
    private static readonly AdamWStep Step = new(0.01, 0.9, 0.95, 1e-8, 0.1, 2) { GradientScale = 0.3 };

    public void Dispose() => AdamWUpdate.Kernels.Emulation = null;

    // One thread, a block in part, blocks and a rest, and more than all blocks take at once.
    [Theory]
    [InlineData(1, true)]
    [InlineData(255, false)]
    [InlineData(1000, true)]
    [InlineData((1024 * 256) + 77, false)]
    public void The_kernel_is_the_cpus_bit_by_bit(long count, bool clears)
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        using var scope = NewDisposeScope();
        AdamWStep step = Step with { ClearsGradient = clears };
        Tensor[] here = Sample(count), there = [.. here.Select(tensor => tensor.clone())];
        Update(here, step);
        CudaKernels kernels = AdamWUpdate.Kernels.Emulation = AdamWUpdate.Kernels.NewKernels(cuda.NewToolkit());
        Update(there, step);
        Assert.Empty(kernels.Reported);
        Assert.All(here.Zip(there), pair => Assert.True(pair.First.equal(pair.Second).all().item<bool>()));
        Assert.Equal(clears, there[1].eq(0).all().item<bool>());

        // The kernels' check, two launches of each, and the update.
        Assert.Equal(5, cuda.Launches);
        Assert.Equal(0, cuda.Contexts);
    }

    // More parameters than a launch takes, of sizes in no order, each with a step of its own; one is empty, one not contiguous and one float64.
    [Fact]
    public void Many_parameters_are_updated_each_by_its_own_step()
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        using var scope = NewDisposeScope();
        AdamWTarget[] here = [.. Enumerable.Range(0, 70).Select(i => Target(Sample(1 + (i * 37 % 500)), Step with { LearningRate = 0.001 * i, Steps = i + 1, ClearsGradient = i % 3 == 0 }))];
        here[10] = Target([.. Enumerable.Range(0, 4).Select(_ => zeros(0))], Step);
        here[20] = Target([.. Sample(60).Select(tensor => tensor.view(6, 10).t())], Step);
        here[30] = Target([.. Sample(60).Select(tensor => tensor.to(ScalarType.Float64))], Step);
        AdamWTarget[] there = [.. here.Select(target => target.On(CPU))];
        AdamWUpdate.Apply(here);
        CudaKernels kernels = AdamWUpdate.Kernels.Emulation = AdamWUpdate.Kernels.NewKernels(cuda.NewToolkit());
        AdamWUpdate.Apply(there);
        Assert.Empty(kernels.Reported);
        Assert.All(here.Zip(there), pair => Assert.All(pair.First.Tensors.Zip(pair.Second.Tensors), tensors => Assert.True(tensors.First.equal(tensors.Second).all().item<bool>())));

        // The check's four and three of 32, 32 and 3.
        Assert.Equal(7, cuda.Launches);
    }

    // The first launch serves 32 parameters; the second fails, and only its own are done by tensor operations.
    [Fact]
    public void A_launch_that_fails_late_updates_nothing_twice()
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        using var scope = NewDisposeScope();
        AdamWTarget[] here = [.. Enumerable.Range(0, 40).Select(i => Target(Sample(10 + i), Step with { ClearsGradient = true }))];
        AdamWTarget[] there = [.. here.Select(target => target.On(CPU))];
        AdamWUpdate.Apply(here);
        CudaKernels kernels = AdamWUpdate.Kernels.Emulation = AdamWUpdate.Kernels.NewKernels(cuda.NewToolkit());
        Update(Sample(3), Step);
        cuda.Fail("cuLaunchKernel", 701, after: 1);
        AdamWUpdate.Apply(there);
        Assert.Contains("cuLaunchKernel failed", Assert.Single(kernels.Reported), StringComparison.Ordinal);
        Assert.All(here.Zip(there), pair => Assert.True(pair.First.Parameter.allclose(pair.Second.Parameter, rtol: 1e-5, atol: 1e-7)));
        Assert.All(here.Zip(there), pair => Assert.True(pair.First.Mean.allclose(pair.Second.Mean, rtol: 1e-5, atol: 1e-7)));
    }

    [Fact]
    public void Norms_are_those_of_float64()
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        using var scope = NewDisposeScope();
        Tensor[] gradients = [.. Enumerable.Range(0, 40).Select(i => Sample(1 + (i * 7919 % 40_000))[0]), zeros(0), full(3, 1e25f), tensor([1f, float.NaN])];
        double[] expected = [.. gradients.Select(gradient => gradient.to(ScalarType.Float64).norm().item<double>())];
        CudaKernels kernels = AdamWUpdate.Kernels.Emulation = AdamWUpdate.Kernels.NewKernels(cuda.NewToolkit());
        double[] norms = TensorNorms.Of(gradients);
        Assert.Empty(kernels.Reported);

        // The order of additions in float64.
        Assert.All(expected.Zip(norms).SkipLast(1), pair => Assert.Equal(pair.First, pair.Second, Math.Abs(pair.First) * 1e-13));
        Assert.True(double.IsNaN(norms[^1]));
        Assert.Equal(6, cuda.Launches);
        Assert.Empty(TensorNorms.Of([]));
    }

    // Every buffer ends at a forbidden page: a read or write behind it ends the test process.
    [Fact]
    public unsafe void Nothing_outside_is_touched()
    {
        var kernel = new CudaAdamW(EmulatedCuda.OrSkip().Toolkit, 0);
        foreach (int count in new[] { 1, 31, 256, 513 })
        {
            const bool isAtEnd = true;
            long bytes = count * sizeof(float);
            using GuardedMemory parameter = new(bytes, isAtEnd), gradient = new(bytes, isAtEnd), mean = new(bytes, isAtEnd), square = new(bytes, isAtEnd);
            foreach (GuardedMemory memory in new[] { parameter, gradient, mean, square })
            {
                memory.Floats.Fill(0.5f);
            }

            var update = new CudaAdamW.Update
            {
                Parameter = (float*)parameter.Pointer,
                Gradient = (float*)gradient.Pointer,
                Mean = (float*)mean.Pointer,
                Square = (float*)square.Pointer,
                Count = count,
                Constants = Step.Constants,
            };
            kernel.Apply([update], 0);
            Assert.All(parameter.Floats.ToArray(), value => Assert.InRange(value, 0.48f, 0.4999f));
            Assert.Single(parameter.Floats.ToArray().Distinct());
        }
    }

    [Theory]
    [InlineData("nvrtcCompileProgram", 7, "adamw.cu does not compile", false)]
    [InlineData("cuModuleGetFunction", 500, "cuModuleGetFunction(adamw_update) failed", false)]
    [InlineData("cuLaunchKernel", 701, "cuLaunchKernel failed", false)]
    [InlineData("cuLaunchKernel", 701, "cuLaunchKernel failed: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES (701), on cpu", true)]
    public void What_fails_is_done_by_tensor_operations(string call, int code, string reason, bool isLater)
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        using var scope = NewDisposeScope();
        Tensor[] here = Sample(50), there = [.. here.Select(tensor => tensor.clone())];
        Update(here, Step with { ClearsGradient = true });
        CudaKernels kernels = AdamWUpdate.Kernels.Emulation = AdamWUpdate.Kernels.NewKernels(cuda.NewToolkit());
        if (isLater)
        {
            Tensor[] other = Sample(10);
            Update(other, Step);
            Assert.Empty(kernels.Reported);
        }

        cuda.Fail(call, code);
        Update(there, Step with { ClearsGradient = true });
        cuda.Restart();
        Assert.Contains(reason, Assert.Single(kernels.Reported), StringComparison.Ordinal);

        // Not tried again.
        Tensor[] third = Sample(10);
        Update(third, Step);
        Assert.Equal(0, cuda.Launches);

        // Rounded in another order.
        Assert.All(here.Zip(there), pair => Assert.True(pair.First.allclose(pair.Second, rtol: 1e-5, atol: 1e-7)));
    }

    [Fact]
    public void A_kernel_that_computes_wrong_is_not_used()
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        using var scope = NewDisposeScope();
        cuda.Replace("p.mean[i] * p.beta1", "p.mean[i] * p.beta2");
        CudaKernels kernels = AdamWUpdate.Kernels.Emulation = AdamWUpdate.Kernels.NewKernels(cuda.NewToolkit());
        Tensor[] sample = Sample(50);
        Update(sample, Step);
        Assert.Contains("computes something else", Assert.Single(kernels.Reported));
    }

    [Fact]
    public void A_real_device_does_as_the_cpu_does()
    {
        Assert.SkipUnless(cuda.is_available(), "no CUDA device; a machine with one runs it, built with -p:TorchBackend=cuda");
        using var scope = NewDisposeScope();
        Tensor[] here = Sample(100_000), there = [.. here.Select(tensor => tensor.cuda())];
        Update(here, Step);
        Update(there, Step);
        Assert.Empty(AdamWUpdate.Kernels.Reported);
        Assert.All(here.Zip(there), pair => Assert.True(pair.First.equal(pair.Second.cpu()).all().item<bool>()));
    }

    private static Tensor[] Sample(long count)
    {
        manual_seed(5);
        return [randn(count), randn(count), randn(count), rand(count)];
    }

    private static AdamWTarget Target(Tensor[] tensors, AdamWStep step) => new(tensors[0], tensors[1], tensors[2], tensors[3], step);

    private static void Update(Tensor[] tensors, AdamWStep step) => AdamWUpdate.Apply([Target(tensors, step)]);
}
