using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Cuda;
using CoFrGeNet.Torch.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// The gated input x (.) s(g) as one differentiable operation by <see cref="GateKernel"/> or its like on a CUDA device, which keeps only x and g for the
/// backward pass; elsewhere it is composed of tensor operations.
/// </summary>
internal static unsafe class GateFunction
{
    /// <summary>The kernels for CUDA devices.</summary>
    internal static CudaOperation Kernels { get; } = new("Gates are composed of tensor operations instead of CUDA kernels");

    /// <summary>x (.) s(g).</summary>
    /// <param name="x">[.., p].</param>
    /// <param name="gate">g, [.., p], in the type of the product that made it.</param>
    /// <param name="kind">s.</param>
    /// <returns>[.., p], in the wider type of the two.</returns>
    public static Tensor Apply(Tensor x, Tensor gate, GateKind kind)
    {
        GateNode.ReleaseReturned();
        if ((CanRun(x, gate) ? Forward(x, gate, kind) : null) is { } y)
        {
            return is_grad_enabled() && (x.requires_grad || gate.requires_grad) ? GateNode.Attach(x, gate, kind, y) : y;
        }

        using var scope = NewDisposeScope();
        return (x * (kind == GateKind.Sigmoid ? gate.sigmoid() : nn.functional.silu(gate))).MoveToOuterDisposeScope();
    }

    private static bool CanRun(Tensor x, Tensor gate) =>
        LadderFunction.Backend == LadderBackend.Fused
        && x.dtype == ScalarType.Float32 && gate.dtype is ScalarType.Float32 or ScalarType.BFloat16
        && x.is_contiguous() && gate.is_contiguous() && x.shape.SequenceEqual(gate.shape)
        && (Kernels.Serves(x) || (x.device_type == DeviceType.CPU && gate.device_type == DeviceType.CPU));

    private static CudaGate? OnDevice(Tensor gate) => Kernels.Find(
        gate, TensorMemory.ElementTypeOf(gate), (toolkit, device) => new CudaGate(toolkit, device, TensorMemory.ElementTypeOf(gate)), (made, stream) => made.Check(gate, stream));

    // Null: there are no kernels.
    private static Tensor? Forward(Tensor x, Tensor gate, GateKind kind)
    {
        using var quiet = no_grad();
        if (Kernels.Serves(x))
        {
            if (OnDevice(gate) is not { } kernels)
            {
                return null;
            }

            Tensor there = empty_like(x, requires_grad: false);
            return Kernels.TryRun(kernels, x, (made, stream) => made.Forward(kind, x, gate, there, stream)) ? there : null;
        }

        Tensor y = empty_like(x, requires_grad: false);
        GateKernel.Forward(
            kind, TensorMemory.Pointer<float>(x), TensorMemory.Pointer(gate), TensorMemory.ElementTypeOf(gate), TensorMemory.Pointer<float>(y), x.numel(), get_num_threads());
        return y;
    }

    private sealed class GateNode : GraphNode<GateNode, GateKind>
    {
        public override string Name => "Gate";

        public static Tensor Attach(Tensor x, Tensor gate, GateKind kind, Tensor y) => Attach(y, [x, gate], [x, gate], kind);

        protected override IReadOnlyList<Tensor?> Gradients(IReadOnlyList<Tensor> saved, GateKind state, Tensor gradient)
        {
            using var scope = NewDisposeScope();
            Tensor x = saved[0], gate = saved[1], upstream = gradient.to_type(ScalarType.Float32).contiguous();
            Tensor gradX = empty_like(x, requires_grad: false), gradGate = empty_like(gate, requires_grad: false);
            if (Kernels.Serves(x) || x.device_type != DeviceType.CPU)
            {
                if (OnDevice(gate) is not { } kernels || !Kernels.TryRun(kernels, x, (made, stream) => made.Backward(state, x, gate, upstream, gradX, gradGate, stream)))
                {
                    ByTensors(state, x, gate, upstream, gradX, gradGate);
                }

                return [gradX.DetachFromDisposeScope(), gradGate.DetachFromDisposeScope()];
            }

            GateKernel.Backward(
                state, TensorMemory.Pointer<float>(x), TensorMemory.Pointer(gate), TensorMemory.ElementTypeOf(gate), TensorMemory.Pointer<float>(upstream),
                TensorMemory.Pointer<float>(gradX), TensorMemory.Pointer(gradGate), x.numel(), get_num_threads());
            return [gradX.DetachFromDisposeScope(), gradGate.DetachFromDisposeScope()];
        }

        // As GateKernel does it.
        private static void ByTensors(GateKind kind, Tensor x, Tensor gate, Tensor upstream, Tensor gradX, Tensor gradGate)
        {
            Tensor g = gate.to_type(ScalarType.Float32), sigmoid = g.sigmoid(), rest = HeldScalars.One - sigmoid;
            var isSilu = kind != GateKind.Sigmoid;
            gradX.copy_(upstream * (isSilu ? g * sigmoid : sigmoid));
            gradGate.copy_(upstream * x * sigmoid * (isSilu ? (g * rest).Plus(1) : rest));
        }
    }
}
