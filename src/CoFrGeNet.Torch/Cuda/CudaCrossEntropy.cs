using System.Runtime.InteropServices;
using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Cuda;

// Dimensions: n = rows, V = vocabulary, W = columns of a row, V or more.

/// <summary>The kernels of cross_entropy.cu: <see cref="CrossEntropyKernel"/> on a CUDA device.</summary>
internal sealed unsafe class CudaCrossEntropy
{
    // THREADS of cross_entropy.cu.
    private const int Threads = 256;

    private readonly CudaModule _module;
    private readonly nint _sums;
    private readonly nint _losses;
    private readonly nint _gradients;

    /// <summary>Compiles and loads the kernels.</summary>
    /// <exception cref="CudaException">They do not compile or load.</exception>
    public CudaCrossEntropy(CudaToolkit toolkit, int device, Variant variant)
    {
        _module = new CudaModule(
            toolkit.Driver, toolkit.Compiler, device, [("ELEMENT", variant.Element == ElementType.Float32 ? 0 : 1), ("WIDE", variant.IsWide ? 1 : 0)], "cross_entropy.cu");
        _sums = _module.Kernel("cross_entropy_sums");
        _losses = _module.Kernel("cross_entropy_losses");
        _gradients = _module.Kernel("cross_entropy_gradients");
    }

    /// <summary>-log softmax(logits)[target] of every row, in nats; with a scale, the logits become the gradient, and what lies beside them 0.</summary>
    /// <param name="logits">[n, W], of which the first V are logits; contiguous, n 1 or more.</param>
    /// <param name="vocabulary">V.</param>
    /// <param name="targets">int64 [n], contiguous. One outside the vocabulary makes its loss NaN.</param>
    /// <param name="losses">float64 [n], contiguous; receives the losses.</param>
    /// <param name="scale">On the gradient; null: logits stay as they are.</param>
    /// <param name="stream">The stream to run in.</param>
    /// <exception cref="CudaException">A launch fails.</exception>
    public void Apply(Tensor logits, long vocabulary, Tensor targets, Tensor losses, double? scale, nint stream)
    {
        long rows = logits.size(0);
        using Tensor room = empty(rows * ((2 * Threads) + 1), dtype: ScalarType.Float32, device: logits.device);
        float* first = (float*)TensorMemory.Address(room);
        var arguments = new Arguments
        {
            Logits = TensorMemory.Address(logits),
            Targets = (long*)TensorMemory.Address(targets),
            Largest = first,
            Sums = first + (rows * Threads),
            Normalizers = first + (2 * rows * Threads),
            Losses = (double*)TensorMemory.Address(losses),
            Rows = rows,
            Columns = vocabulary,
            Stride = logits.size(1),
            Scale = (float)(scale ?? 0),
        };
        _module.Launch(_sums, new CudaGrid(rows, 1, Threads), stream, arguments);
        _module.Launch(_losses, new CudaGrid((rows + Threads - 1) / Threads, 1, Threads), stream, arguments);
        if (scale is not null)
        {
            _module.Launch(_gradients, new CudaGrid(rows, 1, Threads), stream, arguments);
        }
    }

    /// <summary>Runs the kernels over a small input and compares them with the CPU's.</summary>
    /// <param name="like">A tensor of their type on their device.</param>
    /// <param name="isWide">As in <see cref="Variant"/>.</param>
    /// <param name="stream">The stream to run in.</param>
    /// <exception cref="CudaException">A result differs.</exception>
    public void Check(Tensor like, bool isWide, nint stream)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();

        // Some threads with more packs of columns than others; where rows are wide the last pack is not full.
        const int rows = 5;
        long vocabulary = (Threads * 9) - 3, width = isWide ? vocabulary + 3 : vocabulary;
        Tensor numbers = HeldArithmetic.CountUp(rows * width, ScalarType.Float32).Times(0.37).sin_().Times(5).view(rows, width);
        Tensor there = numbers.to_type(like.dtype).to(like.device, copy: true);
        Tensor targets = tensor(new long[] { 0, 7, vocabulary - 1, 1000, 511 });
        Tensor losses = zeros(rows, dtype: ScalarType.Float64, device: like.device);
        Apply(there, vocabulary, targets.to(like.device, copy: true), losses, 0.25, stream);

        Tensor here = numbers.to_type(like.dtype).to_type(ScalarType.Float32).narrow(1, 0, vocabulary).contiguous();
        var expected = new double[rows];
        CrossEntropyKernel.Apply(TensorMemory.Pointer<float>(here), (int)vocabulary, targets.data<long>().ToArray(), expected, 0.25f, 1);
        CudaSelfCheck.Require(tensor(expected), losses.cpu(), "losses");
        Tensor gradients = there.cpu().narrow(1, 0, vocabulary), others = zeros_like(here).scatter(1, targets.unsqueeze(1), ones(rows, 1)).eq(HeldScalars.Zero);
        CudaSelfCheck.Require(here.to_type(like.dtype), gradients, "gradients");

        // Those of the targets are hundreds of times as large.
        CudaSelfCheck.Require((here * others).to_type(like.dtype), gradients * others, "gradients beside the targets");
        if (there.cpu().narrow(1, vocabulary, width - vocabulary).count_nonzero().item<long>() > 0)
        {
            throw new CudaException("the compiled kernels leave numbers beside the gradients");
        }
    }

    /// <summary>What the kernels are compiled for.</summary>
    /// <param name="Element">The type of the logits.</param>
    /// <param name="IsWide">Whether rows begin at multiples of 16 bytes.</param>
    internal readonly record struct Variant(ElementType Element, bool IsWide)
    {
        /// <summary>That of some logits.</summary>
        public static Variant Of(Tensor logits) =>
            new(TensorMemory.ElementTypeOf(logits), (nint)TensorMemory.Address(logits) % 16 == 0 && logits.size(1) * logits.ElementSize % 16 == 0);
    }

    // The structure of cross_entropy.cu, member by member.
    [StructLayout(LayoutKind.Sequential)]
    internal struct Arguments
    {
        public void* Logits;
        public long* Targets;
        public float* Largest, Sums, Normalizers;
        public double* Losses;
        public long Rows, Columns, Stride;
        public float Scale;
    }
}
