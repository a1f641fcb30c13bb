using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Interop;

/// <summary>An architecture of the Hugging Face transformers library: its configuration and its tensor names, in both directions.</summary>
internal abstract class ForeignArchitecture
{
    /// <summary>The name of the untied output matrix in every architecture here.</summary>
    public const string Head = "lm_head.weight";

    /// <summary>The architectures, by <see cref="ModelType"/>.</summary>
    public static IReadOnlyList<ForeignArchitecture> All { get; } = [new Gpt2Architecture(), new LlamaArchitecture()];

    /// <summary>The value of <c>model_type</c> in config.json.</summary>
    public abstract string ModelType { get; }

    /// <summary>The class that config.json names as the architecture.</summary>
    public abstract string ClassName { get; }

    /// <summary>What stands before the names of all tensors but the head; files of the bare model leave it out.</summary>
    public abstract string Prefix { get; }

    /// <summary>The token embedding's name behind the prefix.</summary>
    public abstract string Embedding { get; }

    /// <summary>The members of config.json that are read, for the documentation.</summary>
    public abstract IReadOnlyList<string> Members { get; }

    /// <summary>Reads config.json.</summary>
    /// <param name="config">The file.</param>
    /// <returns>The same model in our terms.</returns>
    /// <exception cref="UserErrorException">It holds what our models do not have.</exception>
    public abstract ModelConfig Read(ForeignConfig config);

    /// <summary>Writes the members of config.json that describe the model.</summary>
    /// <param name="model">A model without <see cref="Misfit"/>.</param>
    public abstract JsonObject Write(ModelConfig model);

    /// <summary>Why a model is not of this architecture, or null when it is.</summary>
    /// <param name="model">The model.</param>
    public abstract string? Misfit(ModelConfig model);

    /// <summary>How our tensors are made of theirs.</summary>
    /// <param name="model">The model.</param>
    public abstract IReadOnlyList<TensorRule> Rules(ModelConfig model);

    /// <summary>Why a tensor that no rule needs is no loss, or null when that is not known.</summary>
    /// <param name="name">Its name.</param>
    public abstract string? IgnoreReason(string name);

    /// <summary>A model with sizes that are the default left out, as configurations of other programs read back.</summary>
    /// <param name="model">The model.</param>
    public static ModelConfig Canonical(ModelConfig model) => model with
    {
        Blocks =
        [
            .. model.Blocks.Select(block => block with
            {
                Mixer = block.Mixer is AttentionConfig attention
                    ? attention with
                    {
                        KeyValueHeads = attention.KeyValueHeads == attention.Heads ? null : attention.KeyValueHeads,
                        HeadSize = attention.HeadSize * attention.Heads == model.Width ? null : attention.HeadSize,
                    }
                    : block.Mixer,
                FeedForward = block.FeedForward is MlpConfig mlp ? mlp with { HiddenSize = mlp.HiddenSize == 4 * model.Width ? null : mlp.HiddenSize } : block.FeedForward,
            }),
        ],
    };

    /// <summary>The embedding and, where it is not tied, the head.</summary>
    protected IEnumerable<TensorRule> Ends(ModelConfig model)
    {
        yield return TensorRule.Same("token_embedding", Prefix + Embedding, model.VocabularySize, model.Width);
        if (!model.TiedHead)
        {
            yield return TensorRule.Same("head.weight", Head, model.VocabularySize, model.Width);
        }
    }

    /// <summary>The one block that all layers are, or null where they differ.</summary>
    protected static BlockConfig? OnlyBlock(ModelConfig model) => model.Layers.Distinct().Count() == 1 ? model.Layers.First() : null;
}
