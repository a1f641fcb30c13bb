using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Mixers;

public class TriangularProductTests
{
    // 100 tokens are one part; 130 end in a part of 2, 600 in parts of 128.
    [Theory]
    [InlineData(100)]
    [InlineData(128)]
    [InlineData(130)]
    [InlineData(600)]
    public void Values_and_gradients_are_those_of_the_whole_product(int tokens)
    {
        using var scope = NewDisposeScope();
        var maps = FormulaWeights.Input(3, tokens, tokens).to(float64).tril().requires_grad_();
        var y = FormulaWeights.Input(3, tokens, 5).to(float64).requires_grad_();
        var upstream = FormulaWeights.Input(3, tokens, 5).to(float64).square();
        var whole = matmul(maps, y);
        var gradients = autograd.grad([whole], [maps, y], [upstream]);
        var parts = TriangularProduct.Apply(maps, y);
        var own = autograd.grad([parts], [maps, y], [upstream]);

        // float64, 600 products at most.
        Assert.InRange(PlainMath.Deviation(parts, whole), 0, 1e-12);
        Assert.InRange(PlainMath.Deviation(own[1], gradients[1]), 0, 1e-12);
        // Above the diagonal the maps are constant, so what stands there is of no use to anybody; it must be a number.
        Assert.InRange(PlainMath.Deviation(own[0].tril(), gradients[0].tril()), 0, 1e-12);
        Assert.True(own[0].isfinite().all().item<bool>());
    }

    [Fact]
    public void Later_tokens_beyond_a_part_are_not_read()
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var maps = FormulaWeights.Input(1, 192, 192).tril();
        var y = FormulaWeights.Input(1, 192, 3);
        var expected = TriangularProduct.Apply(maps, y);
        var broken = maps.clone();
        broken.narrow(1, 0, 64).narrow(2, 64, 128).fill_(double.NaN);
        broken.narrow(1, 64, 64).narrow(2, 128, 64).fill_(double.NaN);
        Assert.True(PlainMath.Same(TriangularProduct.Apply(broken, y), expected));
    }

    [Fact]
    public void What_needs_no_gradient_gets_none()
    {
        using var scope = NewDisposeScope();
        var maps = FormulaWeights.Input(1, 128, 128).tril();
        var y = FormulaWeights.Input(1, 128, 3);
        Assert.False(TriangularProduct.Apply(maps, y).requires_grad);
        var moving = y.clone().requires_grad_();
        TriangularProduct.Apply(maps, moving).sum().backward();
        Assert.InRange(PlainMath.Deviation(moving.grad!, maps.sum(1).unsqueeze(-1).expand(1, 128, 3)), 0, 1e-4);
        Assert.Null(maps.grad);
    }
}
