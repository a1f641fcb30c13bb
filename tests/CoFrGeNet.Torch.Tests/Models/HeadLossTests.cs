using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Models;

public sealed class HeadLossTests
{
    private static readonly long[] Ids = [4, 0, 4, 49, 7, 4, 1];

    [Theory]
    [InlineData(ScalarType.Float32, 1e-6)]
    // The loss itself is handed out in float32.
    [InlineData(ScalarType.Float64, 1e-6)]
    // bfloat16 keeps 8 bits: products of 8 terms of size 1 and their gradients are right to about a hundredth.
    [InlineData(ScalarType.BFloat16, 2e-2)]
    public void Loss_and_gradients_equal_those_of_the_whole_logits(ScalarType type, double tolerance)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        var master = type == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        var weight = randn(50, 8, dtype: master).requires_grad_();
        var hidden = randn(Ids.Length, 8, dtype: master).requires_grad_();
        using var head = new HeadLoss();
        for (var round = 0; round < 2; round++)
        {
            // Twice: what is kept from the first call must not show in the second.
            weight.grad = hidden.grad = null;
            var loss = head.Mean(hidden, weight, tensor(Ids), type);
            (loss * 3).backward();
            Tensor[] ours = [loss.to(master), hidden.grad!, weight.grad!];
            weight.grad = hidden.grad = null;
            var reference = nn.functional.cross_entropy(matmul(hidden, weight.t()), tensor(Ids));
            (reference * 3).backward();
            Tensor[] theirs = [reference, hidden.grad!, weight.grad!];
            foreach (var (one, other) in ours.Zip(theirs))
            {
                Assert.True((one - other).abs().max().to(ScalarType.Float64).item<double>() <= 3 * tolerance);
            }
        }
    }

    [Fact]
    public void Two_losses_may_wait_for_their_backward_passes()
    {
        using var scope = NewDisposeScope();
        manual_seed(2);
        var weight = randn(50, 8).requires_grad_();
        using var head = new HeadLoss();
        Tensor one = randn(Ids.Length, 8), other = randn(Ids.Length, 8);
        Tensor Gradient(params Tensor[] losses)
        {
            weight.grad = null;
            foreach (var loss in losses)
            {
                loss.backward();
            }

            return weight.grad!.clone();
        }

        var apart = Gradient(head.Mean(one, weight, tensor(Ids), ScalarType.Float32)) + Gradient(head.Mean(other, weight, tensor(Ids), ScalarType.Float32));
        var together = Gradient(head.Mean(one, weight, tensor(Ids), ScalarType.Float32), head.Mean(other, weight, tensor(Ids), ScalarType.Float32));
        Assert.True(apart.allclose(together, rtol: 1e-6, atol: 1e-7));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Rows_of_an_embedding_add_to_the_gradient_that_is_there(bool hasGradient)
    {
        using var scope = NewDisposeScope();
        var weight = randn(50, 8).requires_grad_();
        if (hasGradient)
        {
            weight.grad = ones_like(weight);
        }

        var factor = randn(Ids.Length, 8);
        (EmbeddingNode.Rows(weight, tensor(Ids)) * factor).sum().backward();
        var expected = hasGradient ? ones(50, 8) : zeros(50, 8);
        for (var i = 0; i < Ids.Length; i++)
        {
            expected[Ids[i]].add_(factor[i]);
        }

        // Additions of a row's few terms in another order.
        Assert.True(weight.grad!.allclose(expected, rtol: 1e-5, atol: 1e-6));
    }

    [Fact]
    public void Without_a_gradient_only_the_loss_is_computed()
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var weight = randn(50, 8).requires_grad_();
        var hidden = randn(Ids.Length, 8);
        using var head = new HeadLoss();
        var loss = head.Mean(hidden, weight, tensor(Ids), ScalarType.Float32);
        Assert.False(loss.requires_grad);
        Assert.Equal(nn.functional.cross_entropy(matmul(hidden, weight.t()), tensor(Ids)).item<float>(), loss.item<float>(), 1e-5);
    }
}
