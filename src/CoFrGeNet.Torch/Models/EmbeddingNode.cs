using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

// Dimensions: N tokens, V vocabulary, p width.

/// <summary>
/// Rows of an embedding, whose backward adds to an existing gradient only the rows that were used. The usual backward makes a V x p
/// gradient for a handful of rows, adds it to the gradient of a tied head in a third one of that size, and then to the parameter's.
/// </summary>
internal sealed class EmbeddingNode : GraphNode<EmbeddingNode, Tensor>
{
    /// <inheritdoc/>
    public override string Name => "Embedding";

    /// <summary>The rows of <paramref name="weight"/> [V, p] that <paramref name="ids"/>, int64 [N], name: [N, p].</summary>
    public static Tensor Rows(Tensor weight, Tensor ids)
    {
        ReleaseReturned();
        if (!(weight.requires_grad && weight.is_leaf && is_grad_enabled()))
        {
            return weight.index_select(0, ids);
        }

        Tensor rows;
        using (no_grad())
        {
            rows = weight.index_select(0, ids);
        }

        // The leaf itself, not a saved copy, which would have no gradient.
        return Attach(rows, [weight], [ids], weight);
    }

    /// <inheritdoc/>
    protected override IReadOnlyList<Tensor?> Gradients(IReadOnlyList<Tensor> saved, Tensor state, Tensor gradient)
    {
        using var existing = state.grad;
        if (existing is not null)
        {
            existing.index_add_(0, saved[0], gradient, HeldScalars.One);
            return [null];
        }

        var fresh = zeros_like(state, requires_grad: false);
        fresh.index_add_(0, saved[0], gradient, HeldScalars.One);
        return [fresh];
    }
}
