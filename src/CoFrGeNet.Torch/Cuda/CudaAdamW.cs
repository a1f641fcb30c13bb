using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Cuda;

/// <summary>The kernels of adamw.cu: <see cref="AdamWKernel"/> on a CUDA device, several parameters a launch, and the squares of gradients.</summary>
internal sealed unsafe class CudaAdamW
{
    /// <summary>Most parameters a launch: ENTRIES of adamw.cu.</summary>
    public const int Entries = 32;

    private const int Threads = 256;

    // About as many as a large device runs at once; each goes on where the last one ends.
    private const int MostBlocks = 1024;

    // Each thread's sum is written, so fewer of them.
    private const int SquareBlocks = 64;

    private readonly CudaModule _module;
    private readonly nint _update;
    private readonly nint _squares;

    /// <summary>Compiles and loads the kernels.</summary>
    /// <exception cref="CudaException">They do not compile or load.</exception>
    public CudaAdamW(CudaToolkit toolkit, int device)
    {
        _module = new CudaModule(toolkit.Driver, toolkit.Compiler, device, [], "adamw.cu");
        _update = _module.Kernel("adamw_update");
        _squares = _module.Kernel("gradient_squares");
    }

    /// <summary>Updates parameters in one launch; like <see cref="AdamWKernel.Apply"/> one by one.</summary>
    /// <param name="targets">Plain tensors on the device, of one element or more each; at most <see cref="Entries"/>, of like sizes, since each gets as many blocks as the largest.</param>
    /// <param name="stream">The stream to run in.</param>
    /// <exception cref="CudaException">The launch fails; nothing is updated.</exception>
    public void Apply(IReadOnlyList<AdamWTarget> targets, nint stream) => Apply([.. targets.Select(Of)], stream);

    /// <summary>Updates parameters by their addresses.</summary>
    /// <exception cref="CudaException">The launch fails; nothing is updated.</exception>
    public void Apply(Update[] updates, nint stream)
    {
        var arguments = default(Updates);
        updates.CopyTo(arguments);
        _module.Launch(_update, new CudaGrid(Math.Min(MostBlocks, (updates.Max(update => update.Count) + Threads - 1) / Threads), updates.Length, Threads), stream, arguments);
    }

    /// <summary>The sum of squares of each gradient: float64 [n], on the device.</summary>
    /// <param name="gradients">n plain tensors on the device.</param>
    /// <param name="stream">The stream to run in.</param>
    /// <exception cref="CudaException">A launch fails.</exception>
    public Tensor Squares(IReadOnlyList<Tensor> gradients, nint stream)
    {
        using Tensor sums = empty([gradients.Count, SquareBlocks * Threads], dtype: ScalarType.Float64, device: gradients[0].device);
        double* first = (double*)TensorMemory.Address(sums);
        foreach (Tensor[] part in gradients.Chunk(Entries))
        {
            var arguments = new Squared { Sums = first };
            for (int i = 0; i < part.Length; i++)
            {
                arguments.Gradients[i] = (nint)TensorMemory.Address(part[i]);
                arguments.Counts[i] = part[i].numel();
            }

            _module.Launch(_squares, new CudaGrid(SquareBlocks, part.Length, Threads), stream, arguments);
            first += part.Length * SquareBlocks * Threads;
        }

        return sums.sum(1);
    }

    /// <summary>Runs the kernels over small inputs and compares them with the CPU's, the update bit by bit.</summary>
    /// <param name="device">The device.</param>
    /// <param name="stream">The stream to run in.</param>
    /// <exception cref="CudaException">A result differs.</exception>
    public void Check(Device device, nint stream)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();

        // A launch and a part of one; a part of a block, and more than one.
        long[] counts = [.. Enumerable.Range(1, Entries + 2).Select(i => i * 19L)];
        AdamWTarget[] here = [.. counts.Select((count, i) => Sample(count, new AdamWStep(0.01, 0.9, 0.95, 1e-8, 0.1, i + 1) { GradientScale = 0.7, ClearsGradient = i % 2 == 0 }))];
        AdamWTarget[] there = [.. here.Select(target => target.On(device))];
        Tensor squares = Squares([.. there.Select(target => target.Gradient)], stream).cpu();
        Tensor expectedSquares = stack([.. here.Select(target => target.Gradient.to_type(ScalarType.Float64).square().sum())]);
        foreach (AdamWTarget[] part in there.Chunk(Entries))
        {
            Apply(part, stream);
        }

        foreach ((AdamWTarget expected, AdamWTarget actual) in here.Zip(there))
        {
            AdamWKernel.Apply(
                Floats(expected.Parameter), Floats(expected.Gradient), Floats(expected.Mean), Floats(expected.Square), expected.Parameter.numel(), expected.Step, 1);
            foreach ((Tensor one, Tensor other) in expected.Tensors.Zip(actual.Tensors))
            {
                if (!one.equal(other.cpu()).all().item<bool>())
                {
                    throw new CudaException("the compiled AdamW kernel computes something else than the CPU's");
                }
            }
        }

        CudaSelfCheck.Require(expectedSquares, squares, "squares of gradients");
    }

    private static AdamWTarget Sample(long count, AdamWStep step)
    {
        Tensor Numbers(int i) => HeldArithmetic.CountUp(count, ScalarType.Float32).Times(0.37 * i).sin_();
        return new AdamWTarget(Numbers(1), Numbers(2), Numbers(3), Numbers(4).abs_(), step);
    }

    private static Update Of(AdamWTarget target) => new()
    {
        Parameter = Floats(target.Parameter),
        Gradient = Floats(target.Gradient),
        Mean = Floats(target.Mean),
        Square = Floats(target.Square),
        Count = target.Parameter.numel(),
        Constants = target.Step.Constants,
        Clears = target.Step.ClearsGradient ? 1 : 0,
    };

    private static float* Floats(Tensor tensor) => (float*)TensorMemory.Address(tensor);

    // The structures of adamw.cu, member by member.

    /// <summary>A parameter by its addresses on the device.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Update
    {
        public float* Parameter, Gradient, Mean, Square;
        public long Count;
        public AdamWConstants Constants;
        public int Clears;
    }

    [InlineArray(Entries)]
    internal struct Updates
    {
        private Update _first;
    }

    [InlineArray(Entries)]
    internal struct Numbers
    {
        private long _first;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct Squared
    {
        public Numbers Gradients, Counts;
        public double* Sums;
    }
}
