using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;
using CoFrGeNet.Torch.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// The gated input x (.) s(g) as one differentiable operation. On the CPU it is <see cref="GateKernel"/>, which keeps only x and g for the
/// backward pass; elsewhere it is composed of tensor operations.
/// </summary>
internal static unsafe class GateFunction
{
    /// <summary>x (.) s(g).</summary>
    /// <param name="x">[.., p].</param>
    /// <param name="gate">g, [.., p], in the type of the product that made it.</param>
    /// <param name="kind">s.</param>
    /// <returns>[.., p], in the wider type of the two.</returns>
    public static Tensor Apply(Tensor x, Tensor gate, GateKind kind)
    {
        if (!CanRun(x, gate))
        {
            using var scope = NewDisposeScope();
            return (x * (kind == GateKind.Sigmoid ? gate.sigmoid() : nn.functional.silu(gate))).MoveToOuterDisposeScope();
        }

        GateNode.ReleaseReturned();
        Tensor y;
        using (no_grad())
        {
            y = empty_like(x, requires_grad: false);
            GateKernel.Forward(
                kind, TensorMemory.Pointer<float>(x), TensorMemory.Pointer(gate), TensorMemory.ElementTypeOf(gate), TensorMemory.Pointer<float>(y), x.numel(), get_num_threads());
        }

        return is_grad_enabled() && (x.requires_grad || gate.requires_grad) ? GateNode.Attach(x, gate, kind, y) : y;
    }

    private static bool CanRun(Tensor x, Tensor gate) =>
        LadderFunction.Backend == LadderBackend.Fused
        && x.device_type == DeviceType.CPU && gate.device_type == DeviceType.CPU
        && x.dtype == ScalarType.Float32 && gate.dtype is ScalarType.Float32 or ScalarType.BFloat16
        && x.is_contiguous() && gate.is_contiguous() && x.shape.SequenceEqual(gate.shape);

    private sealed class GateNode : GraphNode<GateNode, GateKind>
    {
        public override string Name => "Gate";

        public static Tensor Attach(Tensor x, Tensor gate, GateKind kind, Tensor y) => Attach(y, [x, gate], [x, gate], kind);

        protected override IReadOnlyList<Tensor?> Gradients(IReadOnlyList<Tensor> saved, GateKind state, Tensor gradient)
        {
            using var scope = NewDisposeScope();
            Tensor x = saved[0], gate = saved[1], upstream = gradient.to_type(ScalarType.Float32).contiguous();
            Tensor gradX = empty_like(x, requires_grad: false), gradGate = empty_like(gate, requires_grad: false);
            GateKernel.Backward(
                state, TensorMemory.Pointer<float>(x), TensorMemory.Pointer(gate), TensorMemory.ElementTypeOf(gate), TensorMemory.Pointer<float>(upstream),
                TensorMemory.Pointer<float>(gradX), TensorMemory.Pointer(gradGate), x.numel(), get_num_threads());
            return [gradX.DetachFromDisposeScope(), gradGate.DetachFromDisposeScope()];
        }
    }
}
