using CoFrGeNet.Configuration;

namespace CoFrGeNet.Torch;

/// <summary>The node of the autograd graph behind <see cref="ElementwiseFunction"/>.</summary>
internal sealed class ElementwiseNode : GraphNode<ElementwiseNode, PoleGuard>
{
    /// <inheritdoc/>
    public override string Name => "ElementwiseLadders";

    /// <summary>Makes <paramref name="value"/>, computed without a graph, a function of the inputs g, w, V and perhaps b; takes over value.</summary>
    public static Tensor Attach(Tensor[] inputs, PoleGuard guard, Tensor value) => Attach(value, inputs, inputs, guard);

    /// <inheritdoc/>
    protected override IReadOnlyList<Tensor?> Gradients(IReadOnlyList<Tensor> saved, PoleGuard state, Tensor gradient) =>
        ElementwiseFunction.Backward(saved, state, gradient);
}
