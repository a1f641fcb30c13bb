using CoFrGeNet.Configuration;
using CoFrGeNet.Torch.Cuda;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

// Dimensions: B = batch, t = tokens, p = width, h = heads, m = inputs, d = depth with the linear level.

/// <summary>
/// The two ensembles of <see cref="CAttnU"/> and the product of their sums as two differentiable operations, on CUDA devices: composed of tensor operations they are some
/// twenty passes over the activations, forward and backward.
/// </summary>
internal sealed class UnivariateFunction
{
    private readonly CudaUnivariate _kernels;
    private readonly PoleGuard _guard;
    private readonly long _heads;

    private UnivariateFunction(CudaUnivariate kernels, PoleGuard guard, long heads)
    {
        _kernels = kernels;
        _guard = guard;
        _heads = heads;
    }

    /// <summary>The kernels for CUDA devices.</summary>
    internal static CudaOperation Kernels { get; } = new("CAttnU is composed of tensor operations instead of CUDA kernels");

    /// <summary>The operations where an input lies; null: there are none.</summary>
    /// <param name="x">The ensembles' input, float32 or bfloat16.</param>
    /// <param name="depth">d.</param>
    /// <param name="guard">How poles are guarded.</param>
    /// <param name="heads">h.</param>
    /// <param name="type">The type of the products over tokens.</param>
    public static UnivariateFunction? Find(Tensor x, int depth, PoleGuard guard, long heads, ScalarType type)
    {
        if (x.dtype is not (ScalarType.Float32 or ScalarType.BFloat16) || type is not (ScalarType.Float32 or ScalarType.BFloat16) || !Kernels.Serves(x))
        {
            return null;
        }

        var variant = new CudaUnivariate.Variant(
            depth, guard.GetType(), TensorMemory.ElementTypeOf(x), type == ScalarType.Float32 ? CoFrGeNet.Kernels.ElementType.Float32 : CoFrGeNet.Kernels.ElementType.BFloat16);
        return Kernels.Find(
            x, variant, (toolkit, device) => new CudaUnivariate(toolkit, device, variant), (made, stream) => made.Check(variant, guard, x.device, stream)) is { } kernels
            ? new UnivariateFunction(kernels, guard, heads)
            : null;
    }

    /// <summary>Both ensembles as factors of products over tokens, [2, h, t, B, p / h]; null: the launch has failed.</summary>
    /// <param name="x">[B, t, m, p], m = 1 (both have the same input) or 2.</param>
    /// <param name="weights">float32 [d, 2, t], the linear level first.</param>
    /// <param name="type">As in <see cref="Find"/>.</param>
    /// <param name="statistics">Where given, counts this call's denominators and outputs.</param>
    /// <param name="outputs">Where given, is widened in training and clips outside it; [t or more, 2].</param>
    public Tensor? Ensembles(Tensor x, Tensor weights, ScalarType type, PoleStatistics? statistics, OutputRange? outputs)
    {
        EnsembleNode.ReleaseReturned();
        using var scope = NewDisposeScope();
        Tensor input = x.contiguous(), levels = weights.contiguous();
        Tensor? y = null;
        using (no_grad())
        {
            if (!Kernels.TryRun(_kernels, x, (kernels, stream) => y = kernels.Forward(input, levels, _heads, type, _guard, statistics, outputs, stream)))
            {
                return null;
            }
        }

        bool isDifferentiated = is_grad_enabled() && (x.requires_grad || weights.requires_grad);
        return (isDifferentiated ? EnsembleNode.Attach(input, levels, this, y!) : y!).MoveToOuterDisposeScope();
    }

    /// <summary>[B, t, p], the product of the two ensembles' sums over tokens, [2, h, t, B, p / h].</summary>
    public Tensor Join(Tensor sums)
    {
        JoinNode.ReleaseReturned();
        using var scope = NewDisposeScope();
        Tensor input = sums.contiguous();
        Tensor product;
        using (no_grad())
        {
            product = Run((kernels, stream) => kernels.Join(input, stream), input);
        }

        return (is_grad_enabled() && sums.requires_grad ? JoinNode.Attach(input, this, product) : product).MoveToOuterDisposeScope();
    }

    private T Run<T>(Func<CudaUnivariate, nint, T> run, Tensor like)
    {
        T? result = default;

        // Between the first launch, which went well, and this one there is no way back.
        return Kernels.TryRun(_kernels, like, (kernels, stream) => result = run(kernels, stream))
            ? result!
            : throw new CudaException("a kernel of CAttnU could not be launched after others were");
    }

    private sealed class EnsembleNode : GraphNode<EnsembleNode, UnivariateFunction>
    {
        public override string Name => "CAttnUEnsembles";

        public static Tensor Attach(Tensor x, Tensor weights, UnivariateFunction function, Tensor y) => Attach(y, [x, weights], [x, weights], function);

        protected override IReadOnlyList<Tensor?> Gradients(IReadOnlyList<Tensor> saved, UnivariateFunction state, Tensor gradient)
        {
            using var upstream = gradient.contiguous();
            var (x, weights) = state.Run((kernels, stream) => kernels.Backward(saved[0], saved[1], state._heads, state._guard, upstream, stream), saved[0]);
            return [x, weights];
        }
    }

    private sealed class JoinNode : GraphNode<JoinNode, UnivariateFunction>
    {
        public override string Name => "CAttnUProduct";

        public static Tensor Attach(Tensor sums, UnivariateFunction function, Tensor product) => Attach(product, [sums], [sums], function);

        protected override IReadOnlyList<Tensor?> Gradients(IReadOnlyList<Tensor> saved, UnivariateFunction state, Tensor gradient)
        {
            using var upstream = gradient.to_type(saved[0].dtype);
            using var whole = upstream.contiguous();
            return [state.Run((kernels, stream) => kernels.JoinBackward(saved[0], whole, stream), saved[0])];
        }
    }
}
