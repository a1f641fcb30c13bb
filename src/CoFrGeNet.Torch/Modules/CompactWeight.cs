using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// A float32 weight in bfloat16 for one product, whose backward adds the product's gradient to the weight's as it is. The usual one makes a float32 copy of it
/// first, which is more memory to write and read than the addition itself.
/// </summary>
internal sealed class CompactWeight : GraphNode<CompactWeight, Tensor>
{
    /// <inheritdoc/>
    public override string Name => "CompactWeight";

    /// <summary>The weight in another type.</summary>
    /// <param name="weight">Any shape.</param>
    /// <param name="type">The type of the product.</param>
    /// <returns>Of the same shape, in that type.</returns>
    public static Tensor Of(Tensor weight, ScalarType type)
    {
        // Only where gradients are summed up in the weights: a gradient that is asked for by itself must be handed out.
        if (!(SingleUse.IsOn && is_grad_enabled() && type == ScalarType.BFloat16 && weight.requires_grad && weight.is_leaf && IsPlain(weight)))
        {
            return weight.to(type);
        }

        ReleaseReturned();
        Tensor value;
        using (no_grad())
        {
            value = weight.to(type);
        }

        // The leaf itself, not a saved copy, which would have no gradient.
        return Attach(value, [weight], [], weight);
    }

    /// <inheritdoc/>
    protected override unsafe IReadOnlyList<Tensor?> Gradients(IReadOnlyList<Tensor> saved, Tensor state, Tensor gradient)
    {
        using var existing = state.grad;
        if (existing is null || !IsPlain(existing) || gradient.dtype != ScalarType.BFloat16 || !gradient.is_contiguous())
        {
            return [gradient.to(ScalarType.Float32)];
        }

        AccumulateKernel.Add(TensorMemory.Pointer<ushort>(gradient), TensorMemory.Pointer<float>(existing), existing.numel(), get_num_threads());
        return [null];
    }

    private static bool IsPlain(Tensor tensor) => tensor.device_type == DeviceType.CPU && TensorMemory.IsPlain(tensor);
}
