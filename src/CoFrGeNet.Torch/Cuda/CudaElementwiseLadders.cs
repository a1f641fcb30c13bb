using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Cuda;

// Dimensions: ... = any leading dimensions, N = rows (tokens), p = width, d = depth, L = number of ladders.

/// <summary>The kernels of elementwise.cu: <see cref="ElementwiseLadders"/> on a CUDA device. All addresses are the device's.</summary>
internal sealed unsafe class CudaElementwiseLadders
{
    // ROWS of elementwise.cu.
    private const int RowsPerThread = 8;

    private const int Threads = 128;

    // Each chunk of rows has a sum of its own of every parameter's gradient; as many as fill a large device.
    private const int MostChunks = 256;

    private const int MostBlocksDown = 65535;

    private readonly CudaModule _module;
    private readonly nint _forward;
    private readonly nint _backward;
    private readonly nint _sum;

    /// <summary>Compiles and loads the kernels.</summary>
    /// <exception cref="CudaException">They do not compile or load.</exception>
    public CudaElementwiseLadders(CudaDriver driver, NvrtcCompiler compiler, CudaVariant variant)
    {
        _module = new CudaModule(driver, compiler, variant, "elementwise.cu");
        _forward = _module.Kernel("elementwise_forward");
        _backward = _module.Kernel("elementwise_backward");
        _sum = _module.Kernel("elementwise_sum");
    }

    /// <summary>Working memory that the backward pass needs, in floats.</summary>
    public static long PartElements(ElementwiseSize size, bool hasBiases) => Chunks(size) * Parameters(size, hasBiases);

    /// <summary>y [..., p], float32, of the inputs that <see cref="ElementwiseFunction"/> has made contiguous.</summary>
    /// <exception cref="CudaException">The launch fails.</exception>
    public Tensor Forward(IReadOnlyList<Tensor> inputs, PoleGuard guard, PoleStatistics? statistics, OutputRange? outputs, nint stream)
    {
        using var scope = NewDisposeScope();
        ElementwiseSize size = ElementwiseFunction.Size(inputs);
        Tensor y = empty(inputs[0].shape, dtype: ScalarType.Float32, device: inputs[0].device);
        if (y.numel() > 0)
        {
            var watch = new CudaWatch(statistics, outputs, y.device);
            Forward(size, TensorMemory.Address(inputs[0]), ElementwiseFunction.Weights(inputs), (float*)TensorMemory.Address(y), guard, watch.Tracking, stream);
            watch.Finish(y.numel() * size.Ladders);
        }

        return y.MoveToOuterDisposeScope();
    }

    /// <summary>Fills the gradients for g, w, V and, where there are any, b, given the one for y, contiguous in float32. There are tokens.</summary>
    /// <exception cref="CudaException">A launch fails.</exception>
    public void Backward(IReadOnlyList<Tensor> inputs, PoleGuard guard, Tensor gradY, Tensor[] gradients, nint stream)
    {
        ElementwiseSize size = ElementwiseFunction.Size(inputs);
        using Tensor parts = empty(PartElements(size, inputs.Count > 3), dtype: ScalarType.Float32, device: gradY.device);
        Backward(
            size,
            TensorMemory.Address(inputs[0]),
            ElementwiseFunction.Weights(inputs),
            (float*)TensorMemory.Address(gradY),
            TensorMemory.Address(gradients[0]),
            ElementwiseFunction.Weights(gradients),
            (float*)TensorMemory.Address(parts),
            guard,
            stream);
    }

    /// <summary>y [N, p] of g [N, p]; like <see cref="ElementwiseLadders.Forward"/>. N and p are 1 or more.</summary>
    /// <exception cref="CudaException">The launch fails.</exception>
    public void Forward(ElementwiseSize size, void* g, ElementwiseWeights weights, float* y, PoleGuard guard, CudaTracking tracking, nint stream)
    {
        ElementwiseArguments arguments = Arguments(size, g, weights, guard);
        arguments.Y = y;
        arguments.Tracking = tracking;
        long down = Math.Min(MostBlocksDown, Blocks(size.Rows, RowsPerThread));
        _module.Launch(_forward, new CudaGrid(Blocks(size.Width, Threads), down, Threads), stream, arguments);
    }

    /// <summary>The gradients for g and the parameters, from the gradient for y; like <see cref="ElementwiseLadders.Backward"/>.</summary>
    /// <exception cref="CudaException">A launch fails.</exception>
    public void Backward(
        ElementwiseSize size, void* g, ElementwiseWeights weights, float* gradY, void* gradG, ElementwiseWeights gradients, float* parts, PoleGuard guard,
        nint stream)
    {
        ElementwiseArguments arguments = Arguments(size, g, weights, guard);
        arguments.GradY = gradY;
        arguments.GradG = gradG;
        arguments.Parts = parts;
        arguments.GradLevels = gradients.Levels;
        arguments.GradBiases = gradients.Biases;
        arguments.GradCombine = gradients.Combine;
        _module.Launch(_backward, new CudaGrid(Blocks(size.Width, Threads), arguments.Chunks, Threads), stream, arguments);
        _module.Launch(_sum, new CudaGrid(Blocks(Parameters(size, weights.Biases != null), Threads), 1, Threads), stream, arguments);
    }

    private static ElementwiseArguments Arguments(ElementwiseSize size, void* g, ElementwiseWeights weights, PoleGuard guard) => new()
    {
        G = g,
        Levels = weights.Levels,
        Biases = weights.Biases,
        Combine = weights.Combine,
        Rows = size.Rows,
        Width = size.Width,
        Ladders = size.Ladders,
        ChunkRows = ChunkRows(size),
        Chunks = Chunks(size),
        Constants = CudaConstants.Of(size.Depth, guard),
    };

    private static long Parameters(ElementwiseSize size, bool hasBiases) => ((size.Depth * (hasBiases ? 2L : 1)) + 1) * size.Ladders * size.Width;

    private static long ChunkRows(ElementwiseSize size) => Blocks(Blocks(size.Rows, RowsPerThread), MostChunks) * RowsPerThread;

    private static long Chunks(ElementwiseSize size) => Blocks(size.Rows, ChunkRows(size));

    private static long Blocks(long count, long size) => (count + size - 1) / size;
}
