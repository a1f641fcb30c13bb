using CoFrGeNet.Configuration;

namespace CoFrGeNet.Accounting;

/// <summary>Parameters of a model by component, computed from its configuration alone (PAPER section 2).</summary>
/// <param name="Embedding">Token and position embeddings.</param>
/// <param name="Mixer">All token mixers.</param>
/// <param name="FeedForward">All feed-forwards.</param>
/// <param name="Norm">All norms, the final one included.</param>
/// <param name="Head">The head, 0 if it is tied to the token embedding.</param>
/// <param name="BlockParameters">Everything inside the blocks: mixers, feed-forwards and their norms.</param>
public sealed record ParameterCount(long Embedding, long Mixer, long FeedForward, long Norm, long Head, long BlockParameters)
{
    /// <summary>All parameters.</summary>
    public long Total => Embedding + Mixer + FeedForward + Norm + Head;

    /// <summary>Counts the parameters of a configuration.</summary>
    /// <param name="model">The configuration.</param>
    public static ParameterCount Of(ModelConfig model)
    {
        var mixer = model.Blocks.Sum(block => block.Repeat * block.Mixer.ParameterCount(model));
        var feedForward = model.Blocks.Sum(block => block.Repeat * block.FeedForward.ParameterCount(model));
        long oneNorm = model.Norm.Kind == NormKind.LayerNorm ? 2L * model.Width : model.Width;
        var blockNorms = 2 * oneNorm * model.LayerCount;
        var tokens = (long)model.VocabularySize * model.Width;
        return new ParameterCount(
            tokens + (model.LearnedPositions ? (long)model.ContextLength * model.Width : 0),
            mixer,
            feedForward,
            blockNorms + oneNorm,
            model.TiedHead ? 0 : tokens,
            mixer + feedForward + blockNorms);
    }
}
