using CoFrGeNet.Configuration;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// The dense Synthesizer (Tay et al. 2021), a control of the paper: each token's attention logits over absolute positions come from a
/// two-layer map of the token alone, ReLU(W_1 x) P.
/// </summary>
/// <remarks>Letters: B batch, t new tokens, S tokens so far, T context length, h heads, s = p / h.</remarks>
public sealed class Synthesizer : TokenMixer
{
    private readonly int _heads;

    [ComponentName(Name = "hidden")]
    private readonly Linear _hidden;

    // P: h x T x s, a learned "key" for each position.
    [ComponentName(Name = "positions")]
    private readonly Parameter _positions;

    [ComponentName(Name = "value")]
    private readonly Linear _value;

    [ComponentName(Name = "output")]
    private readonly Linear _output;

    /// <summary>Creates the mixer.</summary>
    /// <param name="width">Model width p.</param>
    /// <param name="contextLength">Longest sequence T.</param>
    /// <param name="config">Heads.</param>
    /// <param name="options">Where the parameters live and how they are drawn.</param>
    public Synthesizer(int width, int contextLength, SynthesizerConfig config, ModuleOptions? options = null)
        : base(nameof(Synthesizer))
    {
        config.Validate(width, contextLength);
        options ??= ModuleOptions.Default;
        _heads = config.Heads;
        _hidden = new Linear(width, width, bias: false, options.InitialStd, options);
        _positions = new Parameter(options.Normal(options.InitialStd, config.Heads, contextLength, width / config.Heads));
        _value = new Linear(width, width, bias: false, options.InitialStd, options);
        _output = new Linear(width, width, bias: false, options.ResidualStd, options);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x, MixerCache? cache)
    {
        using var scope = NewDisposeScope();
        var query = CausalAttention.SplitHeads(nn.functional.relu(_hidden.forward(x)), _heads);
        var value = CausalAttention.SplitHeads(_value.forward(x), _heads);
        var mixed = CausalAttention.AttendPositions(query, value, _positions, cache);
        return _output.forward(CausalAttention.MergeHeads(mixed)).MoveToOuterDisposeScope();
    }
}
