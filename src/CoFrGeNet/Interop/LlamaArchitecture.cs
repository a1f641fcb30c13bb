using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Interop;

/// <summary>Llama 1 to 3: RMS norm, rotary embedding by halves with Llama 3's scaling, grouped queries, SwiGLU.</summary>
internal sealed class LlamaArchitecture : ForeignArchitecture
{
    /// <inheritdoc/>
    public override string ModelType => "llama";

    /// <inheritdoc/>
    public override string ClassName => "LlamaForCausalLM";

    /// <inheritdoc/>
    public override string Prefix => "model.";

    /// <inheritdoc/>
    public override string Embedding => "embed_tokens.weight";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Members { get; } =
    [
        "vocab_size", "max_position_embeddings", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
        "head_dim", "hidden_act", "rms_norm_eps", "rope_theta", "rope_scaling", "rope_parameters", "attention_bias", "mlp_bias", "tie_word_embeddings",
        "initializer_range", "pretraining_tp",
    ];

    /// <inheritdoc/>
    public override ModelConfig Read(ForeignConfig config)
    {
        int width = config.Int("hidden_size"), heads = config.Int("num_attention_heads");
        int groups = config.Int("num_key_value_heads", heads), size = config.Int("head_dim", Math.Max(width / heads, 1));
        config.RequireText("hidden_act", "silu", "silu", "swish");
        config.RequireFlag("mlp_bias", false);
        // It splits products into several sums, which changes nothing but rounding.
        config.Skip("pretraining_tp");
        var model = new ModelConfig
        {
            VocabularySize = config.Int("vocab_size"),
            ContextLength = config.Int("max_position_embeddings"),
            Width = width,
            Norm = new() { Kind = NormKind.RmsNorm, Epsilon = config.Number("rms_norm_eps", 1e-6) },
            LearnedPositions = false,
            TiedHead = config.Flag("tie_word_embeddings", false),
            InitialStd = config.Number("initializer_range", 0.02),
            Blocks =
            [
                new()
                {
                    Repeat = config.Int("num_hidden_layers"),
                    Mixer = new AttentionConfig
                    {
                        Heads = heads,
                        KeyValueHeads = groups == heads ? null : groups,
                        HeadSize = size * heads == width ? null : size,
                        Bias = config.Flag("attention_bias", false),
                        Rotary = ReadRotary(config),
                    },
                    FeedForward = new SwiGluConfig { HiddenSize = config.Int("intermediate_size") },
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
        var attention = (AttentionConfig)block.Mixer;
        var scaling = attention.Rotary!.Scaling;
        return new JsonObject
        {
            ["vocab_size"] = model.VocabularySize,
            ["max_position_embeddings"] = model.ContextLength,
            ["hidden_size"] = model.Width,
            ["intermediate_size"] = ((SwiGluConfig)block.FeedForward).HiddenSize,
            ["num_hidden_layers"] = model.LayerCount,
            ["num_attention_heads"] = attention.Heads,
            ["num_key_value_heads"] = attention.KeyValueHeads ?? attention.Heads,
            ["head_dim"] = attention.ResolveHeadSize(model.Width),
            ["hidden_act"] = "silu",
            ["rms_norm_eps"] = model.Norm.Epsilon,
            ["rope_theta"] = attention.Rotary.Theta,
            ["rope_scaling"] = scaling is null
                ? null
                : new JsonObject
                {
                    ["rope_type"] = "llama3",
                    ["factor"] = scaling.Factor,
                    ["low_freq_factor"] = scaling.LowFrequencyFactor,
                    ["high_freq_factor"] = scaling.HighFrequencyFactor,
                    ["original_max_position_embeddings"] = scaling.OriginalContextLength,
                },
            ["attention_bias"] = attention.Bias,
            ["mlp_bias"] = false,
            ["tie_word_embeddings"] = model.TiedHead,
            ["initializer_range"] = model.InitialStd,
        };
    }

    /// <inheritdoc/>
    public override string? Misfit(ModelConfig model) => (OnlyBlock(model), model.Norm.Kind, model.LearnedPositions) switch
    {
        (null, _, _) => "its layers differ",
        (_, NormKind.LayerNorm, _) => "its norm is layerNorm",
        (_, _, true) => "it has learned positions",
        ({ Mixer: var mixer }, _, _) when mixer.GetType() != typeof(AttentionConfig) || mixer is AttentionConfig { Rotary: null } =>
            "its mixer is not attention with rotary embedding",
        ({ FeedForward: not SwiGluConfig }, _, _) => "its feed-forward is not swiGlu",
        _ => null,
    };

    /// <inheritdoc/>
    public override IReadOnlyList<TensorRule> Rules(ModelConfig model) => Rules(model, hasRotaryPairs: false);

    /// <summary>How our tensors are made of Llama's.</summary>
    /// <param name="model">The model.</param>
    /// <param name="hasRotaryPairs">Whether coordinates (0, 1), (2, 3), .. of a head turn together, instead of its halves.</param>
    public IReadOnlyList<TensorRule> Rules(ModelConfig model, bool hasRotaryPairs)
    {
        var attention = (AttentionConfig)model.Layers.First().Mixer;
        long p = model.Width, hidden = ((SwiGluConfig)model.Layers.First().FeedForward).HiddenSize;
        long heads = attention.Heads, groups = attention.KeyValueHeads ?? attention.Heads, size = attention.ResolveHeadSize(model.Width);
        long queryRows = heads * size, keyRows = groups * size;
        var rules = Ends(model).ToList();
        for (var i = 0; i < model.LayerCount; i++)
        {
            string ours = $"blocks.{i}.", theirs = $"{Prefix}layers.{i}.";
            rules.Add(TensorRule.Same(ours + "mixer_norm.weight", theirs + "input_layernorm.weight", p));
            rules.Add(new TensorRule(ours + "mixer.qkv.weight", [queryRows + (2 * keyRows), p],
            [
                Turned(theirs + "self_attn.q_proj.weight", heads),
                Turned(theirs + "self_attn.k_proj.weight", groups),
                new TensorPart(theirs + "self_attn.v_proj.weight", [keyRows, p]),
            ]));
            rules.Add(TensorRule.Same(ours + "mixer.output.weight", theirs + "self_attn.o_proj.weight", p, queryRows));
            if (attention.Bias)
            {
                rules.Add(new TensorRule(ours + "mixer.qkv.bias", [queryRows + (2 * keyRows)],
                [
                    new TensorPart(theirs + "self_attn.q_proj.bias", [queryRows]),
                    new TensorPart(theirs + "self_attn.k_proj.bias", [keyRows]),
                    new TensorPart(theirs + "self_attn.v_proj.bias", [keyRows]),
                ]));
                rules.Add(TensorRule.Same(ours + "mixer.output.bias", theirs + "self_attn.o_proj.bias", p));
            }

            rules.Add(TensorRule.Same(ours + "feed_forward_norm.weight", theirs + "post_attention_layernorm.weight", p));
            rules.Add(TensorRule.Same(ours + "feed_forward.gate.weight", theirs + "mlp.gate_proj.weight", hidden, p));
            rules.Add(TensorRule.Same(ours + "feed_forward.up.weight", theirs + "mlp.up_proj.weight", hidden, p));
            rules.Add(TensorRule.Same(ours + "feed_forward.down.weight", theirs + "mlp.down_proj.weight", p, hidden));
        }

        rules.Add(TensorRule.Same("final_norm.weight", Prefix + "norm.weight", p));
        return rules;

        TensorPart Turned(string name, long count) => new(name, [count * size, p], hasRotaryPairs ? StridedView.PairsToHalves(count, size, p) : null);
    }

    /// <inheritdoc/>
    public override string? IgnoreReason(string name) =>
        name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal) ? "a buffer that is computed from rope_theta" : null;

    // transformers 5 keeps theta and scaling in one object.
    private static RotaryConfig ReadRotary(ForeignConfig config)
    {
        var theta = config.Number("rope_theta", 10000);
        var scaling = config.Object("rope_scaling");
        if (config.Object("rope_parameters") is { } parameters)
        {
            theta = parameters.Number("rope_theta", theta);
            scaling = parameters;
        }

        if (scaling is null)
        {
            return new RotaryConfig { Theta = theta };
        }

        var name = scaling.Text("rope_type") is null ? "type" : "rope_type";
        scaling.Skip("type", "rope_type", "rope_theta");
        var isScaled = scaling.RequireText(name, "default", "default", "llama3") == "llama3";
        var result = new RotaryConfig
        {
            Theta = theta,
            Scaling = !isScaled
                ? null
                : new()
                {
                    Factor = scaling.Number("factor"),
                    LowFrequencyFactor = scaling.Number("low_freq_factor"),
                    HighFrequencyFactor = scaling.Number("high_freq_factor"),
                    OriginalContextLength = scaling.Int("original_max_position_embeddings"),
                },
        };
        scaling.RefuseRest();
        return result;
    }
}
