using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Cuda;
using CoFrGeNet.Torch.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

// Dimensions: N rows (batch x tokens), p width, V vocabulary, W columns of logits in memory, V or more, n rows of a chunk.

/// <summary>
/// Mean cross entropy of a linear head without the logits of all rows at once: chunk by chunk the logits are computed, turned into their
/// gradient in place and multiplied back, so that forward and backward of the head happen together. The two largest blocks of memory are
/// kept from call to call: given back, the heap would cut them up and grow.
/// </summary>
/// <remarks>Not safe for use from several threads at once.</remarks>
internal sealed class HeadLoss : IDisposable
{
    // Big enough for the products to run at full speed, small beside the model.
    private const long ChunkBytes = 104 << 20;

    // The same for a device, whose products need more to run at full speed.
    private const long DeviceChunkBytes = 512 << 20;

    // Tensor cores multiply rows that begin anywhere, as those of GPT-2's 50,257 columns do, several times slower.
    private const long DeviceColumns = 64;

    private Tensor? _logits;
    private Tensor? _weightGradient;

    // Whether the kept gradient belongs to a graph that has not been run backward yet.
    private bool _isLent;

    /// <summary>The kernels for logits on CUDA devices.</summary>
    internal static CudaOperation Kernels { get; } = new("Cross entropy is composed of tensor operations instead of CUDA kernels");

    /// <summary>Mean of -log softmax(hidden weight^T)[target] over all rows.</summary>
    /// <param name="hidden">[N, p].</param>
    /// <param name="weight">[V, p].</param>
    /// <param name="targets">int64 [N], each in 0 .. V - 1.</param>
    /// <param name="type">The type of the products; the loss is computed in float32 from logits of this type.</param>
    /// <returns>A float32 scalar. Its gradients are first order only.</returns>
    public Tensor Mean(Tensor hidden, Tensor weight, Tensor targets, ScalarType type)
    {
        HeadLossNode.ReleaseReturned();
        var isTraining = is_grad_enabled() && (hidden.requires_grad || weight.requires_grad);
        using var scope = NewDisposeScope();
        Tensor loss;
        Tensor? hiddenGradient, weightGradient;
        using (no_grad())
        {
            (loss, hiddenGradient, weightGradient) = Compute(hidden.detach(), weight.detach(), targets, type, isTraining);
        }

        return (isTraining ? HeadLossNode.Attach(this, hidden, weight, loss, hiddenGradient!, weightGradient!) : loss).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Makes room for the kept blocks before a forward pass: made after it they would come to lie behind the activations, whose memory could not be
    /// used again as a whole.
    /// </summary>
    /// <param name="rows">N.</param>
    /// <param name="weight">[V, p].</param>
    /// <param name="type">The type of the products.</param>
    public void Reserve(long rows, Tensor weight, ScalarType type)
    {
        var columns = Columns(weight, type);
        Take(ref _logits, [ChunkRows(rows, columns, weight, type), columns], type, weight.device);
        if (is_grad_enabled() && weight.requires_grad && !_isLent)
        {
            Take(ref _weightGradient, weight.shape, weight.dtype, weight.device);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _logits?.Dispose();
        _weightGradient?.Dispose();
        _logits = _weightGradient = null;
    }

    private (Tensor Loss, Tensor? HiddenGradient, Tensor? WeightGradient) Compute(
        Tensor hidden, Tensor weight, Tensor targets, ScalarType type, bool isTraining)
    {
        long rows = hidden.shape[0], vocabulary = weight.shape[0], columns = Columns(weight, type);
        var product = columns == vocabulary ? weight.to(type) : nn.functional.pad(weight.to(type), [0, 0, 0, columns - vocabulary]);
        var input = hidden.to(type);
        var hiddenGradient = isTraining ? empty_like(hidden) : null;
        var weightGradient = isTraining ? TakeWeightGradient(weight) : null;
        var losses = zeros(rows, dtype: ScalarType.Float64, device: hidden.device);
        var chunk = ChunkRows(rows, columns, weight, type);
        var block = Take(ref _logits, [chunk, columns], type, hidden.device);
        for (long first = 0; first < rows; first += chunk)
        {
            using var inner = NewDisposeScope();
            var length = Math.Min(chunk, rows - first);
            var part = input.narrow(0, first, length);
            var logits = block.narrow(0, 0, length).addmm_(part, product.t(), beta: 0, alpha: 1);
            // In place: from here on the gradient of the logits.
            Differentiate(logits, vocabulary, targets.narrow(0, first, length), losses.narrow(0, first, length), isTraining ? 1.0 / rows : null);
            if (!isTraining)
            {
                continue;
            }

            hiddenGradient!.narrow(0, first, length).copy_(matmul(logits, product));
            if (type == weight.dtype)
            {
                weightGradient!.addmm_(logits.narrow(1, 0, vocabulary).t(), part, beta: first == 0 ? 0 : 1, alpha: 1);
            }
            else if (first == 0)
            {
                weightGradient!.copy_(matmul(logits.t(), part).narrow(0, 0, vocabulary));
            }
            else
            {
                weightGradient!.add_(matmul(logits.t(), part).narrow(0, 0, vocabulary), HeldScalars.One);
            }
        }

        return (losses.mean().to(ScalarType.Float32), hiddenGradient, weightGradient);
    }

    // Chunks of one size: a short last one would cost nearly what a whole one does.
    private static long ChunkRows(long rows, long columns, Tensor weight, ScalarType type)
    {
        var bytes = weight.device_type != DeviceType.CPU && Kernels.Serves(weight) ? DeviceChunkBytes : ChunkBytes;
        var most = Math.Clamp(bytes / (columns * type.ElementSize()), 1, Math.Max(rows, 1));
        var chunks = Math.Max(1, (rows + most - 1) / most);
        return Math.Max(1, (rows + chunks - 1) / chunks);
    }

    private static long Columns(Tensor weight, ScalarType type) => type == ScalarType.BFloat16 && Kernels.Serves(weight)
        ? (weight.shape[0] + DeviceColumns - 1) / DeviceColumns * DeviceColumns
        : weight.shape[0];

    private Tensor TakeWeightGradient(Tensor weight)
    {
        if (_isLent)
        {
            return zeros_like(weight, requires_grad: false);
        }

        _isLent = true;
        return Take(ref _weightGradient, weight.shape, weight.dtype, weight.device).alias();
    }

    // Contents are undefined, but finite: a product with beta 0 overwrites them.
    private static Tensor Take(ref Tensor? kept, long[] shape, ScalarType type, Device device)
    {
        if (kept is null || kept.dtype != type || !TensorMemory.IsOn(kept, device) || !kept.shape.SequenceEqual(shape))
        {
            kept?.Dispose();

            // A block made while evaluating must serve training too.
            using var ordinary = inference_mode(false);
            kept = zeros(shape, type, device).DetachFromDisposeScope();
        }

        return kept;
    }

    // Fills losses [n] (float64); with a scale, logits [n, W] become (softmax - onehot) scale in their first V columns and 0 in the others.
    private static void Differentiate(Tensor logits, long vocabulary, Tensor targets, Tensor losses, double? scale)
    {
        if (logits.dtype is ScalarType.Float32 or ScalarType.BFloat16)
        {
            using var ids = targets.contiguous();
            if (TryOnDevice(logits, vocabulary, ids, losses, scale))
            {
                return;
            }

            if (logits.device_type == DeviceType.CPU && logits.shape[1] == vocabulary)
            {
                OnCpu(logits, ids, losses, (float?)scale);
                return;
            }
        }

        ByTensors(logits, vocabulary, targets, losses, scale);
    }

    private static bool TryOnDevice(Tensor logits, long vocabulary, Tensor targets, Tensor losses, double? scale)
    {
        var variant = CudaCrossEntropy.Variant.Of(logits);
        return Kernels.Find(logits, variant, (toolkit, device) => new CudaCrossEntropy(toolkit, device, variant), (made, stream) => made.Check(logits, variant.IsWide, stream)) is { } kernels
            && Kernels.TryRun(kernels, logits, (made, stream) => made.Apply(logits, vocabulary, targets, losses, scale, stream));
    }

    private static unsafe void OnCpu(Tensor logits, Tensor targets, Tensor losses, float? scale)
    {
        var count = (int)targets.shape[0];
        var vocabulary = (int)logits.shape[1];
        var target = new ReadOnlySpan<long>(TensorMemory.Pointer<long>(targets), count);
        var loss = new Span<double>(TensorMemory.Pointer<double>(losses), count);
        if (logits.dtype == ScalarType.Float32)
        {
            CrossEntropyKernel.Apply(TensorMemory.Pointer<float>(logits), vocabulary, target, loss, scale, get_num_threads());
        }
        else
        {
            CrossEntropyKernel.Apply(TensorMemory.Pointer<ushort>(logits), vocabulary, target, loss, scale, get_num_threads());
        }
    }

    private static void ByTensors(Tensor logits, long vocabulary, Tensor targets, Tensor losses, double? scale)
    {
        using var scope = NewDisposeScope();
        var index = targets.unsqueeze(1);
        var valid = logits.narrow(1, 0, vocabulary);
        var wide = logits.dtype == ScalarType.Float64 ? valid : valid.to(ScalarType.Float32);
        var normalizer = wide.logsumexp(1, keepdim: true);
        losses.copy_((normalizer - wide.gather(1, index)).squeeze(1));
        if (scale is { } factor)
        {
            var gradient = (wide - normalizer).exp_();
            using var scalar = factor.ToScalar();
            gradient.scatter_add_(1, index, full_like(index, HeldScalars.MinusOne, gradient.dtype));
            valid.copy_(gradient.mul_(scalar));
            logits.narrow(1, vocabulary, logits.shape[1] - vocabulary).zero_();
        }
    }

    /// <summary>The node of the autograd graph; both gradients are known before it exists.</summary>
    private sealed class HeadLossNode : GraphNode<HeadLossNode, HeadLoss>
    {
        public override string Name => "HeadLoss";

        public static Tensor Attach(HeadLoss owner, Tensor hidden, Tensor weight, Tensor loss, Tensor hiddenGradient, Tensor weightGradient)
        {
            using (hiddenGradient)
            using (weightGradient)
            {
                return Attach(loss, [hidden, weight], [hiddenGradient, weightGradient], owner);
            }
        }

        protected override IReadOnlyList<Tensor?> Gradients(IReadOnlyList<Tensor> saved, HeadLoss state, Tensor gradient)
        {
            state._isLent = false;
            if (gradient.device_type != DeviceType.CPU)
            {
                // Without waiting for the device to say whether it is 1.
                return [.. saved.Select(tensor => tensor * gradient)];
            }

            var factor = gradient.item<float>();
            return factor == 1 ? saved : [.. saved.Select(tensor => tensor.Times(factor))];
        }
    }
}
