using System.Text.Json.Serialization;

namespace CoFrGeNet.Configuration;

/// <summary>
/// The whole shape of a language model. The tree of these records has the shape of the tree of modules that is built from it:
/// <see cref="ModelConfig"/> holds <see cref="BlockConfig"/>s, a block holds a <see cref="MixerConfig"/> and a <see cref="FeedForwardConfig"/>.
/// </summary>
public sealed record ModelConfig
{
    /// <summary>Number of token ids; at least 2.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Longest sequence T in tokens that the model can see; at least 1.</summary>
    public required int ContextLength { get; init; }

    /// <summary>Width p of the residual stream; at least 1.</summary>
    public required int Width { get; init; }

    /// <summary>The norm before every mixer and feed-forward and after the last block.</summary>
    public NormConfig Norm { get; init; } = new();

    /// <summary>True: a learned table of T x p position embeddings is added to the token embedding (GPT-2). False: none (Llama).</summary>
    public bool LearnedPositions { get; init; } = true;

    /// <summary>True: logits are taken with the token embedding itself. False: a head of its own, vocabulary x p.</summary>
    public bool TiedHead { get; init; } = true;

    /// <summary>Standard deviation of initial weights; maps that end in the residual stream are divided by sqrt(2 x number of layers).</summary>
    public double InitialStd { get; init; } = 0.02;

    /// <summary>The blocks from input to output; one entry may stand for several equal layers (<see cref="BlockConfig.Repeat"/>).</summary>
    public required IReadOnlyList<BlockConfig> Blocks { get; init; }

    /// <summary>One entry a layer: <see cref="Blocks"/> with repetitions written out.</summary>
    [JsonIgnore]
    public IEnumerable<BlockConfig> Layers => Blocks.SelectMany(block => Enumerable.Repeat(block with { Repeat = 1 }, block.Repeat));

    /// <summary>Number of layers.</summary>
    [JsonIgnore]
    public int LayerCount => Blocks.Sum(block => block.Repeat);

    /// <summary>Checks every member of the tree.</summary>
    /// <returns>This configuration, so that a check can stand in an expression.</returns>
    /// <exception cref="UserErrorException">A member is out of range; the message names its path, its value and what is allowed.</exception>
    public ModelConfig Validate()
    {
        var check = new ConfigCheck("model");
        check.AtLeast(VocabularySize, 2, "vocabularySize");
        check.AtLeast(ContextLength, 1, "contextLength");
        check.Between(Width, 1, 1 << 20, "width");
        check.Above(InitialStd, 0, "initialStd");
        check.Above(Norm.Epsilon, 0, "norm.epsilon");
        check.That(Blocks.Count > 0, "blocks", "0 entries", "at least one block");
        for (var i = 0; i < Blocks.Count; i++)
        {
            var at = check.Under($"blocks[{i}]");
            at.AtLeast(Blocks[i].Repeat, 1, "repeat");
            Blocks[i].Mixer.Check(this, at.Under("mixer"));
            Blocks[i].FeedForward.Check(this, at.Under("feedForward"));
        }

        return this;
    }

    /// <summary>Gives every layer the same mixer, keeping each layer's feed-forward.</summary>
    /// <param name="mixer">The new mixer.</param>
    public ModelConfig WithMixer(MixerConfig mixer) => this with { Blocks = [.. Blocks.Select(block => block with { Mixer = mixer })] };

    /// <summary>Gives every layer the same feed-forward, keeping each layer's mixer.</summary>
    /// <param name="feedForward">The new feed-forward.</param>
    public ModelConfig WithFeedForward(FeedForwardConfig feedForward) =>
        this with { Blocks = [.. Blocks.Select(block => block with { FeedForward = feedForward })] };

    /// <summary>Compares by content, block by block.</summary>
    /// <param name="other">The configuration to compare with.</param>
    public bool Equals(ModelConfig? other) =>
        other is not null && VocabularySize == other.VocabularySize && ContextLength == other.ContextLength && Width == other.Width
        && Norm == other.Norm && LearnedPositions == other.LearnedPositions && TiedHead == other.TiedHead
        && InitialStd.Equals(other.InitialStd) && Layers.SequenceEqual(other.Layers);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(VocabularySize, ContextLength, Width, LayerCount);
}
