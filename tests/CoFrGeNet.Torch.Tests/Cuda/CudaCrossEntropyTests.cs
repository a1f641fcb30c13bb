using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Cuda;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Cuda;

/// <summary>The head's loss on a CUDA device: compiled by g++ and run thread by thread, and on a real device where there is one.</summary>
public sealed class CudaCrossEntropyTests : IDisposable
{
    public void Dispose() => HeadLoss.Kernels.Emulation = null;

    // 50 ids are padded to 64 columns in bfloat16 and stay 50 in float32, whose rows then begin anywhere; 3,000 is more than a row's threads take at once.
    [Theory]
    [InlineData(50, ScalarType.Float32, 1e-6)]
    [InlineData(52, ScalarType.Float32, 1e-6)]
    [InlineData(3000, ScalarType.Float32, 1e-6)]
    // A place of bfloat16, where float32 differs by one: 2^-8 of what a product of 8 terms of size 1 gives.
    [InlineData(50, ScalarType.BFloat16, 1e-2)]
    [InlineData(3000, ScalarType.BFloat16, 1e-2)]
    public void Loss_and_gradients_are_the_cpus(int vocabulary, ScalarType type, double tolerance)
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        using var scope = NewDisposeScope();
        Tensor[] here = Run(vocabulary, type, CPU);
        CudaKernels kernels = HeadLoss.Kernels.Emulation = HeadLoss.Kernels.NewKernels(cuda.NewToolkit());
        Tensor[] there = Run(vocabulary, type, CPU);
        Assert.Empty(kernels.Reported);
        RequireClose(here, there, tolerance);

        // The check's three and the loss's three.
        Assert.Equal(6, cuda.Launches);
        Assert.Equal(0, cuda.Contexts);
    }

    // The columns beside the logits stay out of everything where tensor operations do the work, too.
    [Theory]
    [InlineData("nvrtcCompileProgram", 7, "cross_entropy.cu does not compile")]
    [InlineData("cuLaunchKernel", 701, "cuLaunchKernel failed")]
    // After the check's three launches, and within the loss's own.
    [InlineData("cuLaunchKernel", 701, "cuLaunchKernel failed", 4)]
    public void What_fails_is_done_by_tensor_operations(string call, int code, string reason, int after = 0)
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        using var scope = NewDisposeScope();
        Tensor[] here = Run(50, ScalarType.BFloat16, CPU);
        CudaKernels kernels = HeadLoss.Kernels.Emulation = HeadLoss.Kernels.NewKernels(cuda.NewToolkit());
        cuda.Fail(call, code, after);
        Tensor[] there = Run(50, ScalarType.BFloat16, CPU);
        Assert.Contains(reason, Assert.Single(kernels.Reported), StringComparison.Ordinal);
        RequireClose(here, there, 1e-2);
    }

    [Theory]
    [InlineData("p.sums[row * THREADS + threadIdx.x] = sum", "p.sums[row * THREADS + threadIdx.x] = sum * 1.01f", "wrong losses")]
    [InlineData("column == target ? 1.0f : 0.0f", "0.0f", "wrong gradients")]
    public void Kernels_that_compute_wrong_are_not_used(string text, string other, string reason)
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        using var scope = NewDisposeScope();
        Tensor[] here = Run(50, ScalarType.Float32, CPU);
        cuda.Replace(text, other);
        CudaKernels kernels = HeadLoss.Kernels.Emulation = HeadLoss.Kernels.NewKernels(cuda.NewToolkit());
        RequireClose(here, Run(50, ScalarType.Float32, CPU), 1e-6);
        Assert.Contains(reason, Assert.Single(kernels.Reported), StringComparison.Ordinal);
    }

    // What a run that diverges brings: the trainer has to see that the loss is not a number.
    [Fact]
    public void What_is_not_a_number_makes_its_rows_loss_none()
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        using var scope = NewDisposeScope();
        var kernels = new CudaCrossEntropy(cuda.Toolkit, 0, new CudaCrossEntropy.Variant(ElementType.Float32, IsWide: true));
        Tensor logits = zeros(6, 64);
        logits[1, 5] = tensor(float.NaN);
        logits[2, 60] = tensor(float.PositiveInfinity);
        logits[3, 5] = tensor(float.NegativeInfinity);
        logits[4].fill_(3e38);
        Tensor losses = zeros(6, dtype: ScalarType.Float64);
        kernels.Apply(logits, 64, tensor(new long[] { 0, 0, 0, 0, 0, 64 }), losses, null, 0);
        double[] found = losses.data<double>().ToArray();
        Assert.Equal(Math.Log(64), found[0], 1e-6);
        Assert.True(double.IsNaN(found[1]));
        Assert.False(double.IsFinite(found[2]));
        Assert.Equal(Math.Log(63), found[3], 1e-6);

        // log 64 is less than float32 resolves there.
        Assert.Equal(0, found[4]);
        Assert.True(double.IsNaN(found[5]));
    }

    [Fact]
    public void A_real_device_does_as_the_cpu_does()
    {
        Assert.SkipUnless(cuda.is_available(), "no CUDA device; a machine with one runs it, built with -p:TorchBackend=cuda");
        using var scope = NewDisposeScope();
        foreach ((int vocabulary, ScalarType type, double tolerance) in new[] { (50, ScalarType.Float32, 1e-5), (3001, ScalarType.BFloat16, 1e-2), (2048, ScalarType.BFloat16, 1e-2) })
        {
            RequireClose(Run(vocabulary, type, CPU), Run(vocabulary, type, CUDA), tolerance);
        }

        Assert.Empty(HeadLoss.Kernels.Reported);
    }

    // Loss, gradient of the hidden values, gradient of the weight.
    private static Tensor[] Run(int vocabulary, ScalarType type, Device device)
    {
        manual_seed(3);
        const int rows = 7;
        Tensor weight = randn(vocabulary, 8), hidden = randn(rows, 8), targets = randint(0, vocabulary, [rows], dtype: ScalarType.Int64);
        targets[0] = tensor((long)vocabulary - 1);
        weight = weight.to(device).requires_grad_();
        hidden = hidden.to(device).requires_grad_();
        using var head = new HeadLoss();
        Tensor loss = head.Mean(hidden, weight, targets.to(device), type);
        (loss * 3).backward();
        return [loss.detach().cpu(), hidden.grad!.cpu(), weight.grad!.cpu()];
    }

    private static void RequireClose(Tensor[] expected, Tensor[] actual, double tolerance)
    {
        foreach ((Tensor one, Tensor other) in expected.Zip(actual))
        {
            Assert.Equal(one.shape, other.shape);
            Assert.True((one - other).abs().max().item<float>() <= tolerance * Math.Max(1, one.abs().max().item<float>()));
        }
    }
}
