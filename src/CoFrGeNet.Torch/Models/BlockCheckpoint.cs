using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// A block that keeps only its input for the backward pass and is computed again there (activation checkpointing, Chen et al. 2016):
/// memory for activations falls to that of one block, for one more forward pass.
/// </summary>
internal sealed class BlockCheckpoint : GraphNode<BlockCheckpoint, Block>
{
    /// <inheritdoc/>
    public override string Name => "BlockCheckpoint";

    /// <summary>The block's output for x [B, T, p]. Where x needs no gradient there is no backward pass to save for, and the block runs as usual.</summary>
    public static Tensor Apply(Block block, Tensor x)
    {
        ReleaseReturned();
        if (!x.requires_grad || !is_grad_enabled())
        {
            return block.forward(x, null);
        }

        Tensor value;
        using (no_grad())
        {
            value = block.forward(x, null);
        }

        return Attach(value, [x], [x], block);
    }

    /// <inheritdoc/>
    protected override IReadOnlyList<Tensor?> Gradients(IReadOnlyList<Tensor> saved, Block state, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        var x = saved[0].detach().requires_grad_();
        using (enable_grad())
        using (SingleUse.Begin())
        using (new Uncounted(state))
        {
            state.forward(x, null).backward([gradient]);
        }

        return [x.grad!.DetachFromDisposeScope()];
    }

    // The second forward pass is none of the training's: poles are counted once.
    private sealed class Uncounted : IDisposable
    {
        private readonly List<(ILadderLayer Layer, PoleStatistics? Statistics)> _layers;

        public Uncounted(Block block)
        {
            _layers = [.. block.modules().OfType<ILadderLayer>().Select(layer => (layer, layer.Statistics))];
            _layers.ForEach(entry => entry.Layer.Statistics = null);
        }

        public void Dispose() => _layers.ForEach(entry => entry.Layer.Statistics = entry.Statistics);
    }
}
