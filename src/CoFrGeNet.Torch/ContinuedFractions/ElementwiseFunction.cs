using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Cuda;
using CoFrGeNet.Torch.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

// Dimensions: ... = any leading dimensions, p = width, d = depth, L = number of ladders.

/// <summary>
/// Elementwise ladders with the sum over them as one differentiable operation, y = sum over l of V_l f(w_l1 g + b_l1, ..), by
/// <see cref="ElementwiseLadders"/> on the CPU and <see cref="CudaElementwiseLadders"/> on CUDA devices: nothing larger than g is kept or made.
/// </summary>
internal static unsafe class ElementwiseFunction
{
    /// <summary>Whether a kernel can stand in for composed tensor operations.</summary>
    public static bool CanRun(Tensor g, Tensor combine, Tensor level, OutputRange? outputs, int depth, PoleGuard guard)
    {
        // Clipping stops gradients, which the kernel's backward pass knows nothing of.
        bool isDifferentiated = is_grad_enabled() && (g.requires_grad || combine.requires_grad || level.requires_grad);
        return combine.dtype == ScalarType.Float32 && level.dtype == ScalarType.Float32
            && (outputs is null || (outputs.CanFuse(combine, combine.numel()) && (outputs.training || !isDifferentiated)))
            && (CudaLadders.For(g)?.CanRunElementwise(g, depth, guard) ?? FusedLadders.CanRun(g));
    }

    /// <summary>y [..., p], float32.</summary>
    /// <param name="g">The input, [..., p], float32 or bfloat16.</param>
    /// <param name="levels">w, [d, L, p], float32.</param>
    /// <param name="biases">b, [d, L p]; null: none.</param>
    /// <param name="combine">V, [L, p], float32.</param>
    /// <param name="guard">How poles are guarded.</param>
    /// <param name="statistics">Where given, counts this call's denominators and outputs.</param>
    /// <param name="outputs">Where given, is widened in training and clips outside it; [L p].</param>
    /// <exception cref="ArgumentException">The shapes do not fit each other.</exception>
    public static Tensor Apply(
        Tensor g, Tensor levels, Tensor? biases, Tensor combine, PoleGuard guard, PoleStatistics? statistics, OutputRange? outputs)
    {
        Check(g, levels, biases, combine);
        ElementwiseNode.ReleaseReturned();
        bool isDifferentiated = is_grad_enabled()
            && (g.requires_grad || levels.requires_grad || combine.requires_grad || (biases?.requires_grad ?? false));
        using DisposeScope scope = NewDisposeScope();
        Tensor[] inputs = biases is null
            ? [g.contiguous(), levels.contiguous(), combine.contiguous()]
            : [g.contiguous(), levels.contiguous(), combine.contiguous(), biases.contiguous()];
        Tensor y;
        using (no_grad())
        {
            y = Forward(inputs, guard, statistics, outputs);
        }

        return (isDifferentiated ? ElementwiseNode.Attach(inputs, guard, y) : y).MoveToOuterDisposeScope();
    }

    /// <summary>The gradients for g, w, V and, where there are any, b.</summary>
    public static Tensor[] Backward(IReadOnlyList<Tensor> inputs, PoleGuard guard, Tensor gradY)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor upstream = gradY.to_type(ScalarType.Float32).contiguous();
        Tensor[] gradients = [.. inputs.Select(input => empty(input.shape, dtype: input.dtype, device: input.device))];
        if (inputs[0].numel() == 0)
        {
            foreach (Tensor gradient in gradients)
            {
                gradient.zero_();
            }
        }
        else if (CudaLadders.For(inputs[0]) is { } cuda)
        {
            gradients = cuda.TryBackward(inputs, guard, upstream, gradients) ? gradients : ComposedElementwise.Backward(inputs, guard, upstream);
        }
        else
        {
            ElementwiseLadders.Backward(
                Size(inputs),
                TensorMemory.Pointer(inputs[0]),
                TensorMemory.ElementTypeOf(inputs[0]),
                Weights(inputs),
                (float*)TensorMemory.Pointer(upstream),
                TensorMemory.Pointer(gradients[0]),
                Weights(gradients),
                guard,
                get_num_threads());
        }

        foreach (Tensor gradient in gradients)
        {
            gradient.DetachFromDisposeScope();
        }

        return gradients;
    }

    private static Tensor Forward(Tensor[] inputs, PoleGuard guard, PoleStatistics? statistics, OutputRange? outputs)
    {
        if (CudaLadders.For(inputs[0]) is { } cuda)
        {
            return cuda.Forward(inputs, guard, statistics, outputs) ?? ComposedElementwise.Forward(inputs, guard, statistics, outputs);
        }

        ElementwiseSize size = Size(inputs);
        Tensor y = empty(inputs[0].shape, dtype: ScalarType.Float32);
        if (y.numel() == 0)
        {
            return y;
        }

        LadderTracking? tracking = statistics is null && outputs is null ? null
            : outputs is null ? new LadderTracking { CountsPoles = true, GroupSize = size.Width }
            : outputs.Track(size.Width, statistics is not null);
        ElementwiseLadders.Forward(
            size,
            TensorMemory.Pointer(inputs[0]),
            TensorMemory.ElementTypeOf(inputs[0]),
            Weights(inputs),
            (float*)TensorMemory.Pointer(y),
            guard,
            tracking,
            get_num_threads());
        statistics?.Add(y.numel() * size.Ladders, tracking!, LadderConstants.Of(size.Depth, guard).Start);
        return y;
    }

    /// <summary>The sizes of g [..., p] and w [d, L, p].</summary>
    internal static ElementwiseSize Size(IReadOnlyList<Tensor> inputs)
    {
        long width = inputs[0].size(-1);
        return new ElementwiseSize(width == 0 ? 0 : inputs[0].numel() / width, (int)width, (int)inputs[1].size(0), (int)inputs[1].size(1));
    }

    /// <summary>Where w, V and perhaps b lie, or their gradients.</summary>
    internal static ElementwiseWeights Weights(IReadOnlyList<Tensor> inputs) => new()
    {
        Levels = (float*)TensorMemory.Address(inputs[1]),
        Combine = (float*)TensorMemory.Address(inputs[2]),
        Biases = inputs.Count > 3 ? (float*)TensorMemory.Address(inputs[3]) : null,
    };

    private static void Check(Tensor g, Tensor levels, Tensor? biases, Tensor combine)
    {
        if (g.dim() < 1 || levels.dim() != 3 || combine.dim() != 2 || levels.size(2) != g.size(-1) || combine.size(1) != g.size(-1)
            || combine.size(0) != levels.size(1) || (biases is not null && biases.numel() != levels.numel()))
        {
            throw new ArgumentException(
                $"The input [{string.Join(", ", g.shape)}], levels [{string.Join(", ", levels.shape)}] and weights [{string.Join(", ", combine.shape)}] "
                + $"of elementwise ladders{(biases is null ? string.Empty : $" with biases [{string.Join(", ", biases.shape)}]")} do not fit [.., p], [d, L, p] and [L, p].",
                nameof(levels));
        }
    }
}
