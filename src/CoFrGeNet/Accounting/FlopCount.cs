using CoFrGeNet.Configuration;

namespace CoFrGeNet.Accounting;

/// <summary>
/// Floating-point operations of the forward pass for one token at a full context, by component. Matrix products count two operations a
/// multiply-add, causal work is counted once, norms and activations are left out.
/// </summary>
/// <param name="Mixer">All token mixers.</param>
/// <param name="FeedForward">All feed-forwards.</param>
/// <param name="Head">The logits.</param>
public sealed record FlopCount(long Mixer, long FeedForward, long Head)
{
    /// <summary>The forward pass.</summary>
    public long Total => Mixer + FeedForward + Head;

    /// <summary>Forward and backward: the backward costs two forwards.</summary>
    public long Training => 3 * Total;

    /// <summary>Counts the operations of a configuration.</summary>
    /// <param name="model">The configuration.</param>
    public static FlopCount Of(ModelConfig model) => new(
        model.Blocks.Sum(block => block.Repeat * block.Mixer.FlopsPerToken(model)),
        model.Blocks.Sum(block => block.Repeat * block.FeedForward.FlopsPerToken(model)),
        2L * model.VocabularySize * model.Width);
}
