using System.Runtime.InteropServices;
using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Cuda;

/// <summary>The kernel of adamw.cu: <see cref="AdamWKernel"/> on a CUDA device.</summary>
internal sealed unsafe class CudaAdamW
{
    private const int Threads = 256;

    // More blocks than any device runs at once; each goes on where the last one ends.
    private const int MostBlocks = 4096;

    private readonly CudaModule _module;
    private readonly nint _update;

    /// <summary>Compiles and loads the kernel.</summary>
    /// <exception cref="CudaException">It does not compile or load.</exception>
    public CudaAdamW(CudaToolkit toolkit, int device)
    {
        _module = new CudaModule(toolkit.Driver, toolkit.Compiler, device, [], "adamw.cu");
        _update = _module.Kernel("adamw_update");
    }

    /// <summary>Updates n elements; like <see cref="AdamWKernel.Apply"/>. All addresses are the device's, and n is 1 or more.</summary>
    /// <exception cref="CudaException">The launch fails.</exception>
    public void Apply(float* parameter, float* gradient, float* mean, float* square, long count, AdamWStep step, nint stream)
    {
        var arguments = new UpdateArguments
        {
            Parameter = parameter,
            Gradient = gradient,
            Mean = mean,
            Square = square,
            Count = count,
            Constants = step.Constants,
            Clears = step.ClearsGradient ? 1 : 0,
        };
        _module.Launch(_update, new CudaGrid(Math.Min(MostBlocks, (count + Threads - 1) / Threads), 1, Threads), stream, arguments);
    }

    /// <summary>Runs the kernel over a small input and compares it with the CPU's, bit by bit.</summary>
    /// <param name="device">The device.</param>
    /// <param name="stream">The stream to run in.</param>
    /// <exception cref="CudaException">A result differs.</exception>
    public void Check(Device device, nint stream)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();

        // More than a block and less than two.
        const int count = 300;
        var step = new AdamWStep(0.01, 0.9, 0.95, 1e-8, 0.1, 3) { GradientScale = 0.7, ClearsGradient = true };
        Tensor[] here = [.. Enumerable.Range(1, 4).Select(i => HeldArithmetic.CountUp(count, ScalarType.Float32).Times(0.37 * i).sin_())];
        here[3].abs_();
        Tensor[] there = [.. here.Select(tensor => tensor.to(device, copy: true))];
        nint[] cpu = [.. here.Select(tensor => (nint)TensorMemory.Address(tensor))], other = [.. there.Select(tensor => (nint)TensorMemory.Address(tensor))];
        AdamWKernel.Apply((float*)cpu[0], (float*)cpu[1], (float*)cpu[2], (float*)cpu[3], count, step, 1);
        Apply((float*)other[0], (float*)other[1], (float*)other[2], (float*)other[3], count, step, stream);
        foreach ((Tensor expected, Tensor actual) in here.Zip(there))
        {
            if (!expected.equal(actual.cpu()).all().item<bool>())
            {
                throw new CudaException("the compiled AdamW kernel computes something else than the CPU's");
            }
        }
    }

    // The structure of adamw.cu, member by member.
    [StructLayout(LayoutKind.Sequential)]
    private struct UpdateArguments
    {
        public float* Parameter, Gradient, Mean, Square;
        public long Count;
        public AdamWConstants Constants;
        public int Clears;
    }
}
