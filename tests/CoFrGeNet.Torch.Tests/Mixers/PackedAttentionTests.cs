using CoFrGeNet.Kernels;
using CoFrGeNet.Simd;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Mixers;

/// <summary>The attention kernel against softmax(q k^T / sqrt(s) + mask) v of tensor operations in float64.</summary>
public sealed unsafe class PackedAttentionTests
{
    // B, T, h, s: one token, blocks and panels that are whole, begun and crossed, heads narrower and wider than a panel.
    public static TheoryData<int, int, int, int> Sizes => new()
    {
        { 1, 1, 1, 1 }, { 2, 3, 2, 5 }, { 1, 31, 1, 16 }, { 1, 33, 2, 64 }, { 2, 64, 3, 32 }, { 1, 131, 1, 40 }, { 1, 261, 1, 64 }, { 0, 5, 2, 4 },
    };

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Values_and_gradients_equal_those_of_tensor_operations(int batch, int tokens, int heads, int size)
    {
        using var scope = NewDisposeScope();
        manual_seed(5);
        var qkv = randn(batch, tokens, 3 * heads * size).requires_grad_();
        var upstream = randn(batch, tokens, heads * size);
        var (exact, exactGradient) = Exact(qkv, upstream, heads);
        var output = PackedAttention.Apply(qkv, heads);
        var gradient = autograd.grad([output], [qkv], [upstream])[0];

        // Sums of up to 261 float32 terms of size 1.
        Assert.True(allclose(output.to(ScalarType.Float64), exact, 1e-5, 1e-5));
        Assert.True(allclose(gradient.to(ScalarType.Float64), exactGradient, 1e-5, 1e-5));
    }

    [Fact]
    public void In_bfloat16_only_input_and_output_are_rounded()
    {
        using var scope = NewDisposeScope();
        manual_seed(6);
        var qkv = randn(2, 70, 3 * 2 * 24).bfloat16().requires_grad_();
        var upstream = randn(2, 70, 48).bfloat16();
        var (exact, exactGradient) = Exact(qkv, upstream, 2);
        var output = PackedAttention.Apply(qkv, 2);
        var gradient = autograd.grad([output], [qkv], [upstream])[0];
        Assert.Equal((ScalarType.BFloat16, ScalarType.BFloat16), (output.dtype, gradient.dtype));

        // Half a unit of bfloat16's 8 bits; in the gradient also that of the output, which it starts from.
        Assert.True(allclose(output.to(ScalarType.Float64), exact, 4e-3, 1e-4));
        Assert.True(allclose(gradient.to(ScalarType.Float64), exactGradient, 4e-3, 2e-2));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(8)]
    [InlineData(16)]
    public void Every_width_of_registers_gives_the_same_and_every_number_of_threads_the_same_bits(int width)
    {
        using var scope = NewDisposeScope();
        manual_seed(7);
        var size = new CausalSize(2, 45, 3, 20);
        Tensor qkv = randn(2, 45, 180), upstream = randn(2, 45, 60);
        var (exact, exactGradient) = Exact(qkv.detach().requires_grad_(), upstream, 3);
        (Tensor Output, Tensor Gradient) Run(int threads)
        {
            Tensor output = zeros(2, 45, 60), sums = zeros(2, 3, 45), gradient = zeros(2, 45, 180);
            CausalAttentionKernel.Forward(
                size, TensorMemory.Pointer(qkv), ElementType.Float32, TensorMemory.Pointer(output), TensorMemory.Pointer<float>(sums), threads, (SimdWidth)width);
            CausalAttentionKernel.Backward(
                size, TensorMemory.Pointer(qkv), ElementType.Float32, TensorMemory.Pointer(output), TensorMemory.Pointer<float>(sums),
                TensorMemory.Pointer(upstream), TensorMemory.Pointer(gradient), threads, (SimdWidth)width);
            return (output, gradient);
        }

        var (one, oneGradient) = Run(1);
        var (two, twoGradient) = Run(2);
        Assert.True(allclose(one.to(ScalarType.Float64), exact, 1e-5, 1e-5));
        Assert.True(allclose(oneGradient.to(ScalarType.Float64), exactGradient, 1e-5, 1e-5));
        Assert.Equal(one.bytes.ToArray(), two.bytes.ToArray());
        Assert.Equal(oneGradient.bytes.ToArray(), twoGradient.bytes.ToArray());
    }

    [Fact]
    public void Scores_far_apart_neither_overflow_nor_vanish()
    {
        using var scope = NewDisposeScope();
        manual_seed(8);
        var qkv = (randn(1, 40, 3 * 16) * 60).requires_grad_();
        var upstream = randn(1, 40, 16);
        var (exact, _) = Exact(qkv, upstream, 1);
        var output = PackedAttention.Apply(qkv, 1);
        var gradient = autograd.grad([output], [qkv], [upstream])[0];

        // Scores of several thousand keep four digits behind the point in float32, and exp makes that a relative error.
        Assert.True(allclose(output.to(ScalarType.Float64), exact, 1e-2, 1e-2));
        Assert.True(gradient.isfinite().all().item<bool>());
    }

    [Fact]
    public void Later_tokens_change_nothing_of_earlier_ones()
    {
        using var scope = NewDisposeScope();
        manual_seed(9);
        Tensor qkv = randn(1, 50, 3 * 8), other = qkv.clone();
        other.narrow(1, 30, 20).copy_(randn(1, 20, 24) * 100);
        Assert.Equal(
            PackedAttention.Apply(qkv, 1).narrow(1, 0, 30).contiguous().bytes.ToArray(), PackedAttention.Apply(other, 1).narrow(1, 0, 30).contiguous().bytes.ToArray());
    }

    private static (Tensor Output, Tensor Gradient) Exact(Tensor qkv, Tensor upstream, int heads)
    {
        var leaf = qkv.detach().to(ScalarType.Float64).requires_grad_();
        long batch = qkv.shape[0], tokens = qkv.shape[1], size = qkv.shape[2] / (3 * heads);
        var parts = leaf.view(batch, tokens, 3, heads, size).permute(2, 0, 3, 1, 4);
        var scores = parts[0].matmul(parts[1].transpose(-1, -2)) / Math.Sqrt(size);
        var hidden = CausalAttention.CausalMask(tokens, tokens, qkv.device).logical_not();
        var output = scores.masked_fill(hidden, double.NegativeInfinity).softmax(-1).matmul(parts[2]).transpose(1, 2).flatten(2);
        return (output.detach(), autograd.grad([output], [leaf], [upstream.to(ScalarType.Float64)])[0]);
    }
}
