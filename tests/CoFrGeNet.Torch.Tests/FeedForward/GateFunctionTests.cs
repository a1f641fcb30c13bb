using CoFrGeNet.Configuration;
using CoFrGeNet.Torch.Cuda;
using CoFrGeNet.Torch.Tests.Cuda;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.FeedForward;

/// <summary>The fused gate against the same of tensor operations.</summary>
public sealed class GateFunctionTests : IDisposable
{
    private static readonly CudaOperation Cuda = GateFunction.Kernels;

    [Theory]
    [InlineData(GateKind.Silu, ScalarType.Float32, 2e-6)]
    [InlineData(GateKind.Sigmoid, ScalarType.Float32, 2e-6)]
    // The composed gate rounds s(g) and its gradient to bfloat16's 8 bits, the fused one only the gradient.
    [InlineData(GateKind.Silu, ScalarType.BFloat16, 3e-2)]
    public void Values_and_gradients_equal_those_of_tensor_operations(GateKind kind, ScalarType type, double tolerance)
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        Tensor x = randn(3, 5, 7).requires_grad_(), gate = randn(3, 5, 7).to_type(type).requires_grad_(), upstream = randn(3, 5, 7);
        Tensor[] Results(LadderBackend backend)
        {
            LadderFunction.Backend = backend;
            try
            {
                var y = GateFunction.Apply(x, gate, kind);
                return [y.detach(), .. autograd.grad([y], [x, gate], [upstream])];
            }
            finally
            {
                LadderFunction.Backend = LadderBackend.Fused;
            }
        }

        Tensor[] fused = Results(LadderBackend.Fused), composed = Results(LadderBackend.Composed);
        Assert.Equal(composed.Select(tensor => tensor.dtype), fused.Select(tensor => tensor.dtype));
        foreach (var (one, other) in fused.Zip(composed))
        {
            Assert.True(allclose(one.to(ScalarType.Float32), other.to(ScalarType.Float32), tolerance, tolerance));
        }
    }

    public void Dispose() => Cuda.Emulation = null;

    [Theory]
    [InlineData(GateKind.Silu, ScalarType.Float32, 2e-6)]
    [InlineData(GateKind.Sigmoid, ScalarType.Float32, 2e-6)]
    // A place of bfloat16, where float32 differs by one.
    [InlineData(GateKind.Silu, ScalarType.BFloat16, 1e-2)]
    [InlineData(GateKind.Sigmoid, ScalarType.BFloat16, 1e-2)]
    public void A_device_does_as_the_cpu_does(GateKind kind, ScalarType type, double tolerance)
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        using var scope = NewDisposeScope();
        Tensor[] here = Results(kind, type, CPU);
        CudaKernels kernels = Cuda.Emulation = Cuda.NewKernels(cuda.NewToolkit());
        Tensor[] there = Results(kind, type, CPU);
        Assert.Empty(kernels.Reported);
        RequireClose(here, there, tolerance);

        // The check's two kinds, forward and backward, and the pass's.
        Assert.Equal(6, cuda.Launches);
        Assert.Equal(0, cuda.Contexts);
    }

    [Theory]
    [InlineData("nvrtcCompileProgram", 7, "gate.cu does not compile", "", "")]
    [InlineData("cuLaunchKernel", 701, "cuLaunchKernel failed", "", "")]
    // After the check's four launches: the forward one; and after it, the backward one.
    [InlineData("cuLaunchKernel", 701, "cuLaunchKernel failed", "", "", 4)]
    [InlineData("cuLaunchKernel", 701, "cuLaunchKernel failed", "", "", 5)]
    [InlineData("", 0, "wrong gated values", "p.x[i] * (p.isSigmoid", "p.x[i] + (p.isSigmoid")]
    [InlineData("", 0, "wrong gradients of gates", "p.x[i] * slope", "p.x[i] - slope")]
    public void What_a_device_cannot_do_is_done_by_tensor_operations(string call, int code, string reason, string text, string other, int after = 0)
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        using var scope = NewDisposeScope();
        Tensor[] here = Results(GateKind.Silu, ScalarType.Float32, CPU);
        cuda.Fail(call, code, after);
        cuda.Replace(text, other);
        CudaKernels kernels = Cuda.Emulation = Cuda.NewKernels(cuda.NewToolkit());
        RequireClose(here, Results(GateKind.Silu, ScalarType.Float32, CPU), 2e-6);
        Assert.Contains(reason, Assert.Single(kernels.Reported), StringComparison.Ordinal);
    }

    [Fact]
    public void A_real_device_does_as_the_cpu_does()
    {
        Assert.SkipUnless(cuda.is_available(), "no CUDA device; a machine with one runs it, built with -p:TorchBackend=cuda");
        using var scope = NewDisposeScope();
        RequireClose(Results(GateKind.Silu, ScalarType.Float32, CPU), Results(GateKind.Silu, ScalarType.Float32, CUDA), 2e-6);
        RequireClose(Results(GateKind.Sigmoid, ScalarType.BFloat16, CPU), Results(GateKind.Sigmoid, ScalarType.BFloat16, CUDA), 1e-2);
        Assert.Empty(Cuda.Reported);
    }

    [Fact]
    public void Shapes_that_are_not_alike_or_not_dense_are_left_to_tensor_operations()
    {
        using var scope = NewDisposeScope();
        Tensor x = randn(4, 6), gate = randn(6, 4);
        Assert.True(allclose(x * nn.functional.silu(gate.t()), GateFunction.Apply(x, gate.t(), GateKind.Silu)));
        Assert.True(allclose(x * randn(1).fill_(3).sigmoid(), GateFunction.Apply(x, randn(1).fill_(3), GateKind.Sigmoid)));
        Assert.Equal([0L, 6], GateFunction.Apply(x.narrow(0, 0, 0), gate.t().contiguous().narrow(0, 0, 0), GateKind.Silu).shape);
    }

    // y, the gradient for x, the gradient for g.
    private static Tensor[] Results(GateKind kind, ScalarType type, Device device)
    {
        manual_seed(3);
        Tensor x = randn(3, 5, 77), gate = randn(3, 5, 77).to_type(type), upstream = randn(3, 5, 77);
        x = x.to(device).requires_grad_();
        gate = gate.to(device).requires_grad_();
        Tensor y = GateFunction.Apply(x, gate, kind);
        return [y.detach().cpu(), .. autograd.grad([y], [x, gate], [upstream.to(device)]).Select(gradient => gradient.cpu())];
    }

    private static void RequireClose(Tensor[] expected, Tensor[] actual, double tolerance)
    {
        foreach ((Tensor one, Tensor other) in expected.Zip(actual))
        {
            Assert.Equal(one.dtype, other.dtype);
            Assert.True(allclose(one.to(ScalarType.Float32), other.to(ScalarType.Float32), tolerance, tolerance));
        }
    }
}
