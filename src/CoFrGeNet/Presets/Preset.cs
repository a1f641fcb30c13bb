namespace CoFrGeNet.Configuration;

/// <summary>A named model and what replaces its parts in the continued-fraction variants of that name.</summary>
public sealed record Preset
{
    /// <summary>Where the sizes come from.</summary>
    public required string Source { get; init; }

    /// <summary>Name of the tokenizer that goes with the vocabulary.</summary>
    public required string Tokenizer { get; init; }

    /// <summary>The transformer itself.</summary>
    public required ModelConfig Model { get; init; }

    /// <summary>The feed-forward of the variants -f, -fa and -fu.</summary>
    public required CffnConfig Cffn { get; init; }

    /// <summary>The mixer of the variants -a and -fa.</summary>
    public required CAttnMConfig CAttnM { get; init; }

    /// <summary>The mixer of the variants -u and -fu.</summary>
    public required CAttnUConfig CAttnU { get; init; }

    /// <summary>
    /// Context length of the variants -a, -u, -fa and -fu, whose mixers have parameters for every position; absent: the transformer's.
    /// </summary>
    public int? StaticContextLength { get; init; }

    /// <summary>Builds one variant.</summary>
    /// <param name="variant">Empty for the transformer, or one of <see cref="PresetLibrary.Variants"/>.</param>
    /// <returns>The validated configuration.</returns>
    public ModelConfig Build(string variant)
    {
        var model = variant switch
        {
            "f" or "fa" or "fu" => Model.WithFeedForward(Cffn),
            "gate" => Model.WithFeedForward(new GatedLinearConfig { Gate = Cffn.Gate }),
            _ => Model,
        };
        model = variant switch
        {
            "a" or "fa" => model.WithMixer(CAttnM) with { ContextLength = StaticContextLength ?? Model.ContextLength },
            // Maps over distances need no embedding of positions.
            "u" or "fu" => model.WithMixer(CAttnU) with
            {
                ContextLength = StaticContextLength ?? Model.ContextLength,
                LearnedPositions = Model.LearnedPositions && !CAttnU.RelativePositions,
            },
            _ => model,
        };
        return model.Validate();
    }
}
