using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Interop;

/// <summary>GPT-2: layer norm, learned positions, biases everywhere, GELU by tanh; matrices stored as inputs x outputs (Conv1D).</summary>
internal sealed class Gpt2Architecture : ForeignArchitecture
{
    /// <inheritdoc/>
    public override string ModelType => "gpt2";

    /// <inheritdoc/>
    public override string ClassName => "GPT2LMHeadModel";

    /// <inheritdoc/>
    public override string Prefix => "transformer.";

    /// <inheritdoc/>
    public override string Embedding => "wte.weight";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Members { get; } =
    [
        "vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner", "activation_function", "layer_norm_epsilon", "initializer_range",
        "tie_word_embeddings", "scale_attn_weights", "scale_attn_by_inverse_layer_idx", "add_cross_attention",
    ];

    /// <inheritdoc/>
    public override ModelConfig Read(ForeignConfig config)
    {
        int width = config.Int("n_embd"), heads = config.Int("n_head");
        config.RequireText("activation_function", "gelu_new", "gelu_new", "gelu_pytorch_tanh");
        config.RequireFlag("scale_attn_weights", true);
        config.RequireFlag("scale_attn_by_inverse_layer_idx", false);
        config.RequireFlag("add_cross_attention", false);
        var inner = config.OptionalInt("n_inner");
        var model = new ModelConfig
        {
            VocabularySize = config.Int("vocab_size"),
            ContextLength = config.Int("n_positions", 1024),
            Width = width,
            Norm = new() { Kind = NormKind.LayerNorm, Epsilon = config.Number("layer_norm_epsilon", 1e-5) },
            LearnedPositions = true,
            TiedHead = config.Flag("tie_word_embeddings", true),
            InitialStd = config.Number("initializer_range", 0.02),
            Blocks =
            [
                new()
                {
                    Repeat = config.Int("n_layer"),
                    Mixer = new AttentionConfig { Heads = heads },
                    FeedForward = new MlpConfig { HiddenSize = inner == 4 * width ? null : inner },
                },
            ],
        };
        config.RefuseRest();
        return model.Validate();
    }

    /// <inheritdoc/>
    public override JsonObject Write(ModelConfig model)
    {
        var block = OnlyBlock(model)!;
        return new JsonObject
        {
            ["vocab_size"] = model.VocabularySize,
            ["n_positions"] = model.ContextLength,
            ["n_embd"] = model.Width,
            ["n_layer"] = model.LayerCount,
            ["n_head"] = ((AttentionConfig)block.Mixer).Heads,
            ["n_inner"] = ((MlpConfig)block.FeedForward).HiddenSize,
            ["activation_function"] = "gelu_new",
            ["layer_norm_epsilon"] = model.Norm.Epsilon,
            ["initializer_range"] = model.InitialStd,
            ["tie_word_embeddings"] = model.TiedHead,
        };
    }

    /// <inheritdoc/>
    public override string? Misfit(ModelConfig model) => (OnlyBlock(model), model.Norm.Kind, model.LearnedPositions) switch
    {
        (null, _, _) => "its layers differ",
        (_, NormKind.RmsNorm, _) => "its norm is rmsNorm",
        (_, _, false) => "it has no learned positions",
        ({ Mixer: var mixer }, _, _) when mixer.GetType() != typeof(AttentionConfig) || mixer is AttentionConfig { Rotary: not null } or AttentionConfig { Bias: false } =>
            "its mixer is not attention with biases and without rotary embedding",
        ({ Mixer: AttentionConfig mixer }, _, _) when (mixer.KeyValueHeads ?? mixer.Heads) != mixer.Heads || mixer.ResolveHeadSize(model.Width) * mixer.Heads != model.Width =>
            "its attention has grouped queries or a head size of its own",
        ({ FeedForward: not MlpConfig { Bias: true } }, _, _) => "its feed-forward is not mlp with biases",
        _ => null,
    };

    /// <inheritdoc/>
    public override IReadOnlyList<TensorRule> Rules(ModelConfig model) => Rules(model, isTransposed: true);

    /// <summary>How our tensors are made of GPT-2's.</summary>
    /// <param name="model">The model.</param>
    /// <param name="isTransposed">Whether matrices are stored as inputs x outputs.</param>
    public IReadOnlyList<TensorRule> Rules(ModelConfig model, bool isTransposed)
    {
        long p = model.Width, hidden = ((MlpConfig)model.Layers.First().FeedForward).ResolveHiddenSize(model.Width);
        var rules = Ends(model).Append(TensorRule.Same("position_embedding", Prefix + "wpe.weight", model.ContextLength, p)).ToList();
        for (var i = 0; i < model.LayerCount; i++)
        {
            string ours = $"blocks.{i}.", theirs = $"{Prefix}h.{i}.";
            Norm(ours + "mixer_norm", theirs + "ln_1");
            Linear(ours + "mixer.qkv", theirs + "attn.c_attn", p, 3 * p);
            Linear(ours + "mixer.output", theirs + "attn.c_proj", p, p);
            Norm(ours + "feed_forward_norm", theirs + "ln_2");
            Linear(ours + "feed_forward.up", theirs + "mlp.c_fc", p, hidden);
            Linear(ours + "feed_forward.down", theirs + "mlp.c_proj", hidden, p);
        }

        Norm("final_norm", Prefix + "ln_f");
        return rules;

        void Norm(string name, string from)
        {
            rules.Add(TensorRule.Same(name + ".weight", from + ".weight", p));
            rules.Add(TensorRule.Same(name + ".bias", from + ".bias", p));
        }

        void Linear(string name, string from, long inputs, long outputs)
        {
            rules.Add(isTransposed
                ? TensorRule.Transposed(name + ".weight", from + ".weight", outputs, inputs)
                : TensorRule.Same(name + ".weight", from + ".weight", outputs, inputs));
            rules.Add(TensorRule.Same(name + ".bias", from + ".bias", outputs));
        }
    }

    /// <inheritdoc/>
    public override string? IgnoreReason(string name) =>
        name.EndsWith(".attn.bias", StringComparison.Ordinal) || name.EndsWith(".attn.masked_bias", StringComparison.Ordinal)
            ? "a buffer of the causal mask"
            : null;
}
