using CoFrGeNet.Configuration;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// CAttnM (PAPER section 2): ladders of each token give z in R^L, a learned F in R^(L x T) turns z into one row of attention logits over
/// absolute positions, O = Csoftmax(z F) V with V = X W^v. This is attention whose keys are learned and static, so it runs on the fused
/// attention with query z, key F^T and scale 1, and decoding caches the values only.
/// </summary>
/// <remarks>Letters: B batch, t new tokens, S tokens so far, T context length, h heads, L ladders a head.</remarks>
public sealed class CAttnM : TokenMixer
{
    private readonly int _heads;
    private readonly bool _isRelative;

    [ComponentName(Name = "ladders")]
    private readonly Ladders _ladders;

    // F^T of every head, one row a position or a distance: h x T x L.
    [ComponentName(Name = "positions")]
    private readonly Parameter _positions;

    [ComponentName(Name = "value")]
    private readonly Linear _value;

    /// <summary>Creates the mixer.</summary>
    /// <param name="width">Model width p.</param>
    /// <param name="contextLength">Longest sequence T.</param>
    /// <param name="config">Heads and ladders.</param>
    /// <param name="options">Where the parameters live and how they are drawn.</param>
    public CAttnM(int width, int contextLength, CAttnMConfig config, ModuleOptions? options = null)
        : base(nameof(CAttnM))
    {
        config.Validate(width, contextLength);
        options ??= ModuleOptions.Default;
        _heads = config.Heads;
        _isRelative = config.RelativePositions;
        _ladders = new Ladders(width, config.Ladders with { Count = config.Heads * config.Ladders.Count }, options);
        _positions = new Parameter(options.Normal(config.Ladders.OutputStd, config.Heads, contextLength, config.Ladders.Count));
        // The values go straight into the residual stream: the paper has no output map.
        _value = new Linear(width, width, bias: false, options.ResidualStd, options);
        RegisterComponents();
    }

    /// <summary>The ladders of all heads, for schedules and inspection.</summary>
    public Ladders Ladders => _ladders;

    /// <inheritdoc/>
    public override Tensor forward(Tensor x, MixerCache? cache)
    {
        using var scope = NewDisposeScope();
        var value = CausalAttention.SplitHeads(_value.forward(x), _heads);
        var query = CausalAttention.SplitHeads(_ladders.forward(x), _heads).to(value.dtype);
        var mixed = _isRelative
            ? CausalAttention.AttendDistances(query, value, _positions, cache)
            : CausalAttention.AttendPositions(query, value, _positions, cache);
        return CausalAttention.MergeHeads(mixed).MoveToOuterDisposeScope();
    }
}
