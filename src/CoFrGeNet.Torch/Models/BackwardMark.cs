using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// A place in the graph that says when the backward pass has come to it. The engine takes the node made last first and sums gradients at once, so by then every
/// gradient of what was computed after the mark is complete.
/// </summary>
internal sealed class BackwardMark : GraphNode<BackwardMark, Action>
{
    /// <inheritdoc/>
    public override string Name => "BackwardMark";

    /// <summary>x itself, with a mark behind it.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="passed">Is called on the thread of the backward pass; must not throw.</param>
    public static Tensor Apply(Tensor x, Action passed)
    {
        ReleaseReturned();
        return x.requires_grad && is_grad_enabled() ? Attach(x.detach(), [x], [], passed) : x.alias();
    }

    /// <inheritdoc/>
    protected override IReadOnlyList<Tensor?> Gradients(IReadOnlyList<Tensor> saved, Action state, Tensor gradient)
    {
        state();
        return [gradient.alias()];
    }
}
