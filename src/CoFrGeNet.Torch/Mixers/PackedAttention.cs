using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

// Dimensions: B batch, T tokens, h heads, s width of a head.

/// <summary>
/// Causal softmax attention straight from the product that gives queries, keys and values, as one differentiable operation by <see cref="CausalAttentionKernel"/>:
/// nothing is split, transposed or joined, and beside input and output only T numbers a head are kept for the backward pass.
/// </summary>
internal static unsafe class PackedAttention
{
    /// <summary>Whether the kernel can stand in for tensor operations.</summary>
    /// <param name="qkv">Queries, keys and values of all heads beside each other, [B, T, 3 h s].</param>
    public static bool CanRun(Tensor qkv) =>
        LadderFunction.Backend == LadderBackend.Fused
        && qkv.device_type == DeviceType.CPU
        && qkv.dtype is ScalarType.Float32 or ScalarType.BFloat16
        && qkv.is_contiguous();

    /// <summary>softmax(q k^T / sqrt(s) + causal mask) v of every head.</summary>
    /// <param name="qkv">[B, T, 3 h s], for which <see cref="CanRun"/> is true.</param>
    /// <param name="heads">h.</param>
    /// <returns>[B, T, h s], in the type of qkv.</returns>
    public static Tensor Apply(Tensor qkv, int heads)
    {
        PackedNode.ReleaseReturned();
        using var scope = NewDisposeScope();
        var size = new CausalSize((int)qkv.shape[0], (int)qkv.shape[1], heads, (int)(qkv.shape[2] / (3 * heads)));
        Tensor output, logSums;
        using (no_grad())
        {
            output = empty([size.Batch, size.Tokens, size.OutputStride], dtype: qkv.dtype);
            logSums = empty([size.Batch, heads, size.Tokens], dtype: ScalarType.Float32);
            CausalAttentionKernel.Forward(
                size, TensorMemory.Pointer(qkv), TensorMemory.ElementTypeOf(qkv), TensorMemory.Pointer(output), TensorMemory.Pointer<float>(logSums), get_num_threads());
        }

        return (is_grad_enabled() && qkv.requires_grad ? PackedNode.Attach(qkv, output, logSums, size) : output).MoveToOuterDisposeScope();
    }

    private sealed class PackedNode : GraphNode<PackedNode, CausalSize>
    {
        public override string Name => "PackedAttention";

        // The output is saved as what it is before it belongs to the graph; saved as the graph's, it would keep itself alive.
        public static Tensor Attach(Tensor qkv, Tensor output, Tensor logSums, CausalSize size) => Attach(output.alias(), [qkv], [qkv, output, logSums], size);

        protected override IReadOnlyList<Tensor?> Gradients(IReadOnlyList<Tensor> saved, CausalSize state, Tensor gradient)
        {
            using var scope = NewDisposeScope();
            Tensor qkv = saved[0], output = saved[1], logSums = saved[2], upstream = gradient.to_type(qkv.dtype).contiguous();
            var gradQkv = empty_like(qkv, requires_grad: false);
            CausalAttentionKernel.Backward(
                state, TensorMemory.Pointer(qkv), TensorMemory.ElementTypeOf(qkv), TensorMemory.Pointer(output), TensorMemory.Pointer<float>(logSums),
                TensorMemory.Pointer(upstream), TensorMemory.Pointer(gradQkv), get_num_threads());
            return [gradQkv.DetachFromDisposeScope()];
        }
    }
}
