using System.Runtime.InteropServices;
using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Cuda;

/// <summary>The kernels of gate.cu: <see cref="GateKernel"/> on a CUDA device.</summary>
internal sealed unsafe class CudaGate
{
    private const int Threads = 256;

    // Each thread goes on where the last block ends.
    private const int MostBlocks = 1 << 16;

    private readonly CudaModule _module;
    private readonly nint _forward;
    private readonly nint _backward;

    /// <summary>Compiles and loads the kernels.</summary>
    /// <exception cref="CudaException">They do not compile or load.</exception>
    public CudaGate(CudaToolkit toolkit, int device, ElementType gate)
    {
        _module = new CudaModule(toolkit.Driver, toolkit.Compiler, device, [("ELEMENT", gate == ElementType.Float32 ? 0 : 1)], "gate.cu");
        _forward = _module.Kernel("gate_forward");
        _backward = _module.Kernel("gate_backward");
    }

    /// <summary>y of x and g; like <see cref="GateKernel.Forward"/>. All are contiguous and of one shape; y like x in float32.</summary>
    /// <exception cref="CudaException">The launch fails.</exception>
    public void Forward(GateKind kind, Tensor x, Tensor gate, Tensor y, nint stream) =>
        Launch(_forward, Arguments.Of(kind, x, gate) with { Y = Floats(y) }, stream);

    /// <summary>The gradients for x and g; like <see cref="GateKernel.Backward"/>.</summary>
    /// <exception cref="CudaException">The launch fails.</exception>
    public void Backward(GateKind kind, Tensor x, Tensor gate, Tensor gradY, Tensor gradX, Tensor gradGate, nint stream) => Launch(
        _backward, Arguments.Of(kind, x, gate) with { GradY = Floats(gradY), GradX = Floats(gradX), GradGate = TensorMemory.Address(gradGate) }, stream);

    /// <summary>Runs the kernels over a small input and compares them with the CPU's.</summary>
    /// <param name="like">A tensor of the type of g on the device.</param>
    /// <param name="stream">The stream to run in.</param>
    /// <exception cref="CudaException">A result differs.</exception>
    public void Check(Tensor like, nint stream)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        const int count = (2 * Threads) + 5;
        Tensor Numbers(double step) => HeldArithmetic.CountUp(count, ScalarType.Float32).Times(step).sin_().Times(6);
        Tensor x = Numbers(0.37), gate = Numbers(0.59).to_type(like.dtype), upstream = Numbers(0.71);
        foreach (GateKind kind in new[] { GateKind.Silu, GateKind.Sigmoid })
        {
            Tensor y = empty_like(x), gradX = empty_like(x), gradGate = empty_like(gate);
            GateKernel.Forward(kind, Floats(x), TensorMemory.Address(gate), TensorMemory.ElementTypeOf(gate), Floats(y), count, 1);
            GateKernel.Backward(
                kind, Floats(x), TensorMemory.Address(gate), TensorMemory.ElementTypeOf(gate), Floats(upstream), Floats(gradX), TensorMemory.Address(gradGate), count, 1);
            Tensor[] there = [.. new[] { x, gate, upstream }.Select(tensor => tensor.to(like.device, copy: true))];
            Tensor otherY = empty_like(there[0]), otherX = empty_like(there[0]), otherGate = empty_like(there[1]);
            Forward(kind, there[0], there[1], otherY, stream);
            Backward(kind, there[0], there[1], there[2], otherX, otherGate, stream);
            CudaSelfCheck.Require(y, otherY.cpu(), "gated values");
            CudaSelfCheck.Require(gradX, otherX.cpu(), "gradients of gated values");
            CudaSelfCheck.Require(gradGate, otherGate.cpu(), "gradients of gates");
        }
    }

    private static float* Floats(Tensor tensor) => (float*)TensorMemory.Address(tensor);

    private void Launch(nint kernel, Arguments arguments, nint stream)
    {
        if (arguments.Count > 0)
        {
            _module.Launch(kernel, new CudaGrid(Math.Min(MostBlocks, (arguments.Count + Threads - 1) / Threads), 1, Threads), stream, arguments);
        }
    }

    // The structure of gate.cu, member by member.
    [StructLayout(LayoutKind.Sequential)]
    internal struct Arguments
    {
        public float* X;
        public void* Gate;
        public float* Y, GradY, GradX;
        public void* GradGate;
        public long Count, IsSigmoid;

        public static Arguments Of(GateKind kind, Tensor x, Tensor gate) =>
            new() { X = Floats(x), Gate = TensorMemory.Address(gate), Count = x.numel(), IsSigmoid = kind == GateKind.Sigmoid ? 1 : 0 };
    }
}
