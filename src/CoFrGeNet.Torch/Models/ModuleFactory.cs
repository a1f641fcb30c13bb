using CoFrGeNet.Configuration;
using TorchSharp;

namespace CoFrGeNet.Torch;

/// <summary>Builds the two parts of a block from their configuration: the one place that knows which type is which.</summary>
public static class ModuleFactory
{
    /// <summary>Builds a token mixer.</summary>
    /// <param name="config">Which, and its sizes.</param>
    /// <param name="width">Model width p.</param>
    /// <param name="contextLength">Longest sequence T.</param>
    /// <param name="options">Where the parameters live and how they are drawn.</param>
    public static TokenMixer Mixer(MixerConfig config, int width, int contextLength, ModuleOptions? options = null) => config switch
    {
        AttentionConfig attention => new Attention(width, attention, options),
        SynthesizerConfig synthesizer => new Synthesizer(width, contextLength, synthesizer, options),
        CAttnMConfig cattnm => new CAttnM(width, contextLength, cattnm, options),
        CAttnUConfig cattnu => new CAttnU(width, contextLength, cattnu, options),
        _ => throw new System.Diagnostics.UnreachableException($"No module for {config.GetType().Name}."),
    };

    /// <summary>Builds a feed-forward.</summary>
    /// <param name="config">Which, and its sizes.</param>
    /// <param name="width">Model width p.</param>
    /// <param name="options">Where the parameters live and how they are drawn.</param>
    public static torch.nn.Module<Tensor, Tensor> FeedForward(FeedForwardConfig config, int width, ModuleOptions? options = null) => config switch
    {
        MlpConfig mlp => new Mlp(width, mlp, options),
        SwiGluConfig swiGlu => new SwiGlu(width, swiGlu, options),
        CffnConfig cffn => new Cffn(width, cffn, options),
        GatedLinearConfig gated => new GatedLinear(width, gated, options),
        _ => throw new System.Diagnostics.UnreachableException($"No module for {config.GetType().Name}."),
    };

    internal static torch.nn.Module<Tensor, Tensor> Norm(NormConfig config, int width, ModuleOptions options) => config.Kind switch
    {
        NormKind.LayerNorm => new LayerNorm(width, config.Epsilon, options),
        NormKind.RmsNorm => new RmsNorm(width, config.Epsilon, options),
        _ => throw new System.Diagnostics.UnreachableException($"No module for {config.Kind}."),
    };
}
