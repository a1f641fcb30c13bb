using CoFrGeNet.Kernels;
using CoFrGeNet.Tests.Kernels;
using CoFrGeNet.Torch.Cuda;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Cuda;

/// <summary>AdamW's update on a CUDA device: compiled by g++ and run thread by thread, and on a real device where there is one.</summary>
public sealed class CudaAdamWTests : IDisposable
{
    private static readonly AdamWStep Step = new(0.01, 0.9, 0.95, 1e-8, 0.1, 2) { GradientScale = 0.3 };

    public void Dispose() => AdamWUpdate.Emulation = null;

    // One thread, a block in part, blocks and a rest, and more than all blocks take at once.
    [Theory]
    [InlineData(1, true)]
    [InlineData(255, false)]
    [InlineData(1000, true)]
    [InlineData((4096 * 256) + 77, false)]
    public void The_kernel_is_the_cpus_bit_by_bit(long count, bool clears)
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        using var scope = NewDisposeScope();
        AdamWStep step = Step with { ClearsGradient = clears };
        Tensor[] here = Sample(count), there = [.. here.Select(tensor => tensor.clone())];
        AdamWUpdate.Apply(here[0], here[1], here[2], here[3], step);
        CudaKernels kernels = AdamWUpdate.Emulation = AdamWUpdate.NewKernels(cuda.NewToolkit());
        AdamWUpdate.Apply(there[0], there[1], there[2], there[3], step);
        Assert.Empty(kernels.Reported);
        Assert.All(here.Zip(there), pair => Assert.True(pair.First.equal(pair.Second).all().item<bool>()));
        Assert.Equal(clears, there[1].eq(0).all().item<bool>());

        // The kernel's check, and the update.
        Assert.Equal(2, cuda.Launches);
        Assert.Equal(0, cuda.Contexts);
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

            kernel.Apply((float*)parameter.Pointer, (float*)gradient.Pointer, (float*)mean.Pointer, (float*)square.Pointer, count, Step, 0);
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
        AdamWUpdate.Apply(here[0], here[1], here[2], here[3], Step with { ClearsGradient = true });
        CudaKernels kernels = AdamWUpdate.Emulation = AdamWUpdate.NewKernels(cuda.NewToolkit());
        if (isLater)
        {
            Tensor[] other = Sample(10);
            AdamWUpdate.Apply(other[0], other[1], other[2], other[3], Step);
            Assert.Empty(kernels.Reported);
        }

        cuda.Fail(call, code);
        AdamWUpdate.Apply(there[0], there[1], there[2], there[3], Step with { ClearsGradient = true });
        cuda.Restart();
        Assert.Contains(reason, Assert.Single(kernels.Reported), StringComparison.Ordinal);

        // Not tried again.
        Tensor[] third = Sample(10);
        AdamWUpdate.Apply(third[0], third[1], third[2], third[3], Step);
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
        CudaKernels kernels = AdamWUpdate.Emulation = AdamWUpdate.NewKernels(cuda.NewToolkit());
        Tensor[] sample = Sample(50);
        AdamWUpdate.Apply(sample[0], sample[1], sample[2], sample[3], Step);
        Assert.Contains("computes something else", Assert.Single(kernels.Reported));
    }

    [Fact]
    public void A_real_device_does_as_the_cpu_does()
    {
        Assert.SkipUnless(cuda.is_available(), "no CUDA device; a machine with one runs it, built with -p:TorchBackend=cuda");
        using var scope = NewDisposeScope();
        Tensor[] here = Sample(100_000), there = [.. here.Select(tensor => tensor.cuda())];
        AdamWUpdate.Apply(here[0], here[1], here[2], here[3], Step);
        AdamWUpdate.Apply(there[0], there[1], there[2], there[3], Step);
        Assert.All(here.Zip(there), pair => Assert.True(pair.First.equal(pair.Second.cpu()).all().item<bool>()));
    }

    private static Tensor[] Sample(long count)
    {
        manual_seed(5);
        return [randn(count), randn(count), randn(count), rand(count)];
    }
}
