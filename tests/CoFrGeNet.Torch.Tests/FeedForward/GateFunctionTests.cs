using CoFrGeNet.Configuration;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.FeedForward;

/// <summary>The fused gate against the same of tensor operations.</summary>
public sealed class GateFunctionTests
{
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

    [Fact]
    public void Shapes_that_are_not_alike_or_not_dense_are_left_to_tensor_operations()
    {
        using var scope = NewDisposeScope();
        Tensor x = randn(4, 6), gate = randn(6, 4);
        Assert.True(allclose(x * nn.functional.silu(gate.t()), GateFunction.Apply(x, gate.t(), GateKind.Silu)));
        Assert.True(allclose(x * randn(1).fill_(3).sigmoid(), GateFunction.Apply(x, randn(1).fill_(3), GateKind.Sigmoid)));
        Assert.Equal([0L, 6], GateFunction.Apply(x.narrow(0, 0, 0), gate.t().contiguous().narrow(0, 0, 0), GateKind.Silu).shape);
    }
}
