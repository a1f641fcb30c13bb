using System.Diagnostics;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Inference;

/// <summary>Builds the two parts of a block from their configuration: the one place that knows which type is which.</summary>
internal sealed class ModuleFactory
{
    private readonly WeightReader _weights;
    private readonly ModelConfig _model;
    private readonly Dictionary<(RotaryConfig, int), Rotary> _rotaries = [];

    /// <summary>Builds for one model.</summary>
    /// <param name="weights">Its tensors.</param>
    /// <param name="model">Its shape.</param>
    public ModuleFactory(WeightReader weights, ModelConfig model) => (_weights, _model) = (weights, model);

    /// <summary>The rotary embeddings that were asked for.</summary>
    public IReadOnlyCollection<Rotary> Rotaries => _rotaries.Values;

    /// <summary>Builds a token mixer.</summary>
    /// <param name="config">Which, and its sizes.</param>
    /// <param name="name">Its name.</param>
    public TokenMixer Mixer(MixerConfig config, string name) => config switch
    {
        AttentionConfig attention => new Attention(_weights, name, _model.Width, attention, Rotary(attention)),
        SynthesizerConfig synthesizer => new PositionAttention(_weights, name, _model, synthesizer),
        CAttnMConfig cattnm => new PositionAttention(_weights, name, _model, cattnm),
        CAttnUConfig cattnu => new CAttnU(_weights, name, _model, cattnu),
        _ => throw new UnreachableException($"No module for {config.GetType().Name}."),
    };

    /// <summary>Builds a feed-forward.</summary>
    /// <param name="config">Which, and its sizes.</param>
    /// <param name="name">Its name.</param>
    public FeedForward FeedForward(FeedForwardConfig config, string name) => config switch
    {
        MlpConfig mlp => new Mlp(_weights, name, _model.Width, mlp),
        SwiGluConfig swiGlu => new SwiGlu(_weights, name, _model.Width, swiGlu),
        CffnConfig cffn => new Cffn(_weights, name, _model.Width, cffn),
        GatedLinearConfig gated => new Cffn(_weights, name, _model.Width, gated),
        _ => throw new UnreachableException($"No module for {config.GetType().Name}."),
    };

    /// <summary>Builds a norm.</summary>
    /// <param name="name">Its name.</param>
    public Norm Norm(string name) => new(_weights, name, _model.Norm, _model.Width);

    private Rotary? Rotary(AttentionConfig attention)
    {
        if (attention.Rotary is not { } config)
        {
            return null;
        }

        var key = (config, attention.ResolveHeadSize(_model.Width));
        if (!_rotaries.TryGetValue(key, out var rotary))
        {
            rotary = new Rotary(key.Item2, config);
            _rotaries.Add(key, rotary);
        }

        return rotary;
    }
}
