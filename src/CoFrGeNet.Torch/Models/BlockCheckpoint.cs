using System.Diagnostics;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// A block that keeps only its input for the backward pass and is computed again there (activation checkpointing, Chen et al. 2016):
/// memory for activations falls to that of one block, for one more forward pass. For its habits as a node see <see cref="LadderNode"/>.
/// </summary>
internal sealed class BlockCheckpoint : autograd.SingleTensorFunction<BlockCheckpoint>
{
    private const string CallKey = "call";

    // A block's gradient is its predecessor's input, so one slot a thread is enough.
    [ThreadStatic]
    private static Tensor? _returned;

    /// <inheritdoc/>
    public override string Name => "BlockCheckpoint";

    /// <summary>The block's output for x [B, T, p]. Where x needs no gradient there is no backward pass to save for, and the block runs as usual.</summary>
    public static Tensor Apply(Block block, Tensor x)
    {
        _returned?.Dispose();
        _returned = null;
        if (!x.requires_grad || !is_grad_enabled())
        {
            return block.forward(x, null);
        }

        Tensor value;
        using (no_grad())
        {
            value = block.forward(x, null);
        }

        using (value)
        {
            List<Tensor> saved = [x];
            var result = apply(x, new Call(block, value, saved));
            saved.Clear();
            return result;
        }
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var call = (Call)vars[1];
        ctx.save_for_backward(call.Saved);
        ctx.save_data(CallKey, call);
        return call.TakeValue();
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using (grad_output)
        {
            try
            {
                using var scope = NewDisposeScope();
                var block = ((Call)ctx.get_data(CallKey)).Block;
                var x = ctx.get_saved_variables()[0].detach().requires_grad_();
                using (enable_grad())
                using (new Uncounted(block))
                {
                    block.forward(x, null).backward([grad_output]);
                }

                _returned?.Dispose();
                _returned = x.grad!.DetachFromDisposeScope();
            }
            catch (Exception exception)
            {
                Trace.TraceError("The backward pass of a block failed: {0}", exception);
                _returned = empty(0);
            }
        }

        return [_returned, null!];
    }

    private sealed class Call(Block block, Tensor value, List<Tensor> saved)
    {
        private Tensor? _value = value;

        public Block Block { get; } = block;

        public List<Tensor> Saved { get; } = saved;

        public Tensor TakeValue()
        {
            var taken = _value!;
            _value = null;
            return taken;
        }
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
