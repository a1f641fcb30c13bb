using System.Numerics;
using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Cuda;

// Dimensions: ... = any leading dimensions, N = rows (tokens), d = depth, L = number of ladders.

/// <summary>The kernels of projected.cu: <see cref="ProjectedLadders"/> on a CUDA device. All addresses are the device's.</summary>
internal sealed unsafe class CudaProjectedLadders
{
    private const int Threads = 256;

    // A warp reads 32 neighbours of a level at once; more ladders a block bring nothing while there are rows for the other threads.
    private const int WarpSize = 32;

    // Rows that a thread takes at least, and the most pieces that rows are cut into.
    private const int RowsPerThread = 4, MostChunks = 4096;

    private readonly CudaModule _module;
    private readonly nint _forward;
    private readonly nint _backward;

    /// <summary>Compiles and loads the kernels.</summary>
    /// <exception cref="CudaException">They do not compile or load.</exception>
    public CudaProjectedLadders(CudaDriver driver, NvrtcCompiler compiler, CudaVariant variant)
    {
        _module = new CudaModule(driver, compiler, variant, "projected.cu");
        _forward = _module.Kernel("projected_forward");
        _backward = _module.Kernel("projected_backward");
    }

    /// <summary>f [..., L] of a [..., d, L], in a's type; widens or is clipped to the range where one is given.</summary>
    /// <exception cref="CudaException">The launch fails.</exception>
    public Tensor Forward(Tensor a, PoleGuard guard, PoleStatistics? statistics, OutputRange? outputs, nint stream)
    {
        using var scope = NewDisposeScope();
        (Tensor source, LadderLayout layout) = LadderMemory.Readable(a);
        Tensor f = LadderMemory.Values(a);
        if (outputs is null)
        {
            layout = LadderMemory.Collapsed(layout);
        }

        if (f.numel() > 0)
        {
            var watch = new CudaWatch(statistics, outputs, a.device);
            Forward(layout, TensorMemory.Address(source), TensorMemory.Address(f), guard, watch.Tracking, stream);
            watch.Finish(f.numel());
        }

        return f.MoveToOuterDisposeScope();
    }

    /// <summary>The gradient for a [..., d, L], laid out in memory as a is.</summary>
    /// <exception cref="CudaException">The launch fails.</exception>
    public Tensor Backward(Tensor a, PoleGuard guard, Tensor gradOutput, nint stream)
    {
        using var scope = NewDisposeScope();
        (Tensor source, LadderLayout layout) = LadderMemory.Readable(a);
        Tensor upstream = gradOutput.to_type(a.dtype).contiguous();
        (Tensor gradient, LadderLayout gradientLayout) = LadderMemory.Gradient(a, layout);
        if (gradient.numel() > 0)
        {
            (layout, gradientLayout) = LadderMemory.Collapsed(layout, gradientLayout);
            Backward(layout, TensorMemory.Address(source), TensorMemory.Address(upstream), TensorMemory.Address(gradient), gradientLayout, guard, stream);
        }

        return gradient.MoveToOuterDisposeScope();
    }

    /// <summary>f [N, L] of a; like <see cref="ProjectedLadders.Forward"/>. N and L are 1 or more.</summary>
    /// <exception cref="CudaException">The launch fails.</exception>
    public void Forward(LadderLayout layout, void* a, void* f, PoleGuard guard, CudaTracking tracking, nint stream)
    {
        ProjectedArguments arguments = Arguments(layout, guard, out CudaGrid grid);
        arguments.A = a;
        arguments.F = f;
        arguments.Tracking = tracking;
        _module.Launch(_forward, grid, stream, arguments);
    }

    /// <summary>The gradient for a from the gradient for f [N, L]; like <see cref="ProjectedLadders.Backward"/>.</summary>
    /// <exception cref="CudaException">The launch fails.</exception>
    public void Backward(LadderLayout layout, void* a, void* gradF, void* gradA, LadderLayout gradLayout, PoleGuard guard, nint stream)
    {
        ProjectedArguments arguments = Arguments(layout, guard, out CudaGrid grid);
        arguments.A = a;
        arguments.GradF = gradF;
        arguments.GradA = gradA;
        arguments.GradRowStride = gradLayout.RowStride;
        arguments.GradLevelStride = gradLayout.LevelStride;
        _module.Launch(_backward, grid, stream, arguments);
    }

    private static ProjectedArguments Arguments(LadderLayout layout, PoleGuard guard, out CudaGrid grid)
    {
        long across = Math.Min(WarpSize, Power(layout.Ladders)), down = Math.Min(Threads / across, Power(layout.Rows));
        long tileWidth = Threads / down;
        long chunkRows = Math.Max(down * RowsPerThread, (layout.Rows + MostChunks - 1) / MostChunks);
        grid = new CudaGrid((layout.Ladders + tileWidth - 1) / tileWidth, (layout.Rows + chunkRows - 1) / chunkRows, Threads);
        return new ProjectedArguments
        {
            Rows = layout.Rows,
            Ladders = layout.Ladders,
            RowStride = layout.RowStride,
            LevelStride = layout.LevelStride,
            ChunkRows = chunkRows,
            TileWidth = tileWidth,
            Constants = CudaConstants.Of(layout.Depth, guard),
        };
    }

    // The smallest power of two that is not smaller; never more than the number of threads is needed.
    private static long Power(long value) => (long)BitOperations.RoundUpToPowerOf2((ulong)Math.Min(value, Threads));
}
