using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;

namespace CoFrGeNet.Torch;

// Dimensions: ... = any leading dimensions, d = depth, L = number of ladders.

/// <summary>The node of the autograd graph behind <see cref="LadderFunction"/>: <see cref="LadderKernel"/> backward.</summary>
internal sealed class LadderNode : GraphNode<LadderNode, (PoleGuard Guard, LadderRange Range)>
{
    /// <inheritdoc/>
    public override string Name => "Ladder";

    /// <summary>
    /// Makes <paramref name="value"/> [..., L], computed without a graph, a function of <paramref name="a"/> [..., d, L]; takes over value.
    /// </summary>
    public static Tensor Attach(Tensor a, PoleGuard guard, LadderRange range, Tensor value) => Attach(value, [a], [a], (guard, range));

    /// <inheritdoc/>
    protected override IReadOnlyList<Tensor?> Gradients(IReadOnlyList<Tensor> saved, (PoleGuard Guard, LadderRange Range) state, Tensor gradient) =>
        [LadderKernel.Backward(saved[0], state.Guard, state.Range, gradient)];
}
