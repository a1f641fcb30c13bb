using System.Diagnostics;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

// Dimensions: N tokens, V vocabulary, p width.

/// <summary>
/// Rows of an embedding, whose backward adds to an existing gradient only the rows that were used. The usual backward makes a V x p
/// gradient for a handful of rows, adds it to the gradient of a tied head in a third one of that size, and then to the parameter's.
/// </summary>
internal sealed class EmbeddingNode : autograd.SingleTensorFunction<EmbeddingNode>
{
    private const string LeafKey = "leaf";

    [ThreadStatic]
    private static Tensor? _returned;

    /// <inheritdoc/>
    public override string Name => "Embedding";

    /// <summary>The rows of <paramref name="weight"/> [V, p] that <paramref name="ids"/>, int64 [N], name: [N, p].</summary>
    public static Tensor Rows(Tensor weight, Tensor ids)
    {
        _returned?.Dispose();
        _returned = null;
        return weight.requires_grad && weight.is_leaf && is_grad_enabled() ? apply(weight, ids) : weight.index_select(0, ids);
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (weight, ids) = ((Tensor)vars[0], (Tensor)vars[1]);
        ctx.save_for_backward([ids]);
        ctx.save_data(LeafKey, new Leaf(weight));
        return weight.index_select(0, ids);
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using (grad_output)
        {
            try
            {
                using var quiet = no_grad();
                using var ids = ctx.get_saved_variables()[0];
                var weight = ((Leaf)ctx.get_data(LeafKey)).Weight;
                if (weight.grad is { } gradient)
                {
                    using (gradient)
                    {
                        gradient.index_add_(0, ids, grad_output, 1);
                    }

                    return [null!, null!];
                }

                _returned?.Dispose();
                _returned = zeros_like(weight, requires_grad: false);
                _returned.index_add_(0, ids, grad_output, 1);
            }
            catch (Exception exception)
            {
                Trace.TraceError("The backward pass of an embedding failed: {0}", exception);
                _returned = empty(0);
            }
        }

        return [_returned, null!];
    }

    // A context takes any object but a bare tensor, which it expects among the saved ones; saved, the leaf would lose its gradient.
    private sealed record Leaf(Tensor Weight);
}
