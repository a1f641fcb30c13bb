using CoFrGeNet.Configuration;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// The continued-fraction feed-forward of the paper (section 2): y = U g + V z, where g is the gated, non-expanded input and z the
/// outputs of L ladders of depth d on g (eq. 8). L p (d + 1) + 2 p^2 parameters.
/// </summary>
public sealed class Cffn : nn.Module<Tensor, Tensor>
{
    private readonly CffnConfig _config;

    [ComponentName(Name = "gate")]
    private readonly Linear _gate;

    [ComponentName(Name = "value")]
    private readonly Linear? _value;

    [ComponentName(Name = "linear")]
    private readonly Linear _linear;

    [ComponentName(Name = "ladders")]
    private readonly Ladders _ladders;

    // V: p x L, or L x p weights of single coordinates for elementwise ladders.
    [ComponentName(Name = "combine")]
    private readonly Linear _combine;

    /// <summary>Creates the feed-forward with the default guard, gate and initialisation.</summary>
    /// <param name="width">Width p of input and output.</param>
    /// <param name="ladders">Number of ladders L.</param>
    /// <param name="depth">Depth d of a ladder.</param>
    /// <param name="options">Where the parameters live and how they are drawn.</param>
    /// <exception cref="UserErrorException">A number is out of range.</exception>
    public Cffn(int width, int ladders = 16, int depth = 3, ModuleOptions? options = null)
        : this(width, new CffnConfig { Ladders = new LadderConfig { Count = ladders, Depth = depth } }, options)
    {
    }

    /// <summary>Creates the feed-forward from its configuration.</summary>
    /// <param name="width">Width p of input and output.</param>
    /// <param name="config">Ladders and gate.</param>
    /// <param name="options">Where the parameters live and how they are drawn.</param>
    /// <exception cref="UserErrorException">A member is out of range.</exception>
    public Cffn(int width, CffnConfig config, ModuleOptions? options = null)
        : base(nameof(Cffn))
    {
        config.Validate(width);
        options ??= ModuleOptions.Default;
        _config = config;
        _gate = new Linear(width, width, bias: false, options.InitialStd, options);
        _linear = new Linear(width, width, bias: false, options.ResidualStd, options);
        _ladders = new Ladders(width, config.Ladders, options);
        _combine = config.Ladders.Kind == LadderKind.Projected
            ? new Linear(config.Ladders.Count, width, bias: false, config.Ladders.OutputStd, options)
            : new Linear(width, config.Ladders.Count, bias: false, config.Ladders.OutputStd, options);
        _value = GatedLinear.ValueMap(width, config.Gate, options);
        RegisterComponents();
    }

    /// <summary>The ladders, for schedules and inspection.</summary>
    public Ladders Ladders => _ladders;

    /// <summary>V where it is read past its forward, as the weights of single coordinates; null where it is a linear map.</summary>
    internal Linear? CoordinateWeights => _config.Ladders.Kind == LadderKind.Projected ? null : _combine;

    /// <summary>Applies the feed-forward.</summary>
    /// <param name="x">[.., p].</param>
    /// <returns>[.., p].</returns>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var gated = GatedLinear.ApplyGate(x, _gate, _value, _config.Gate);
        var from = _config.LinearOnGated ? gated : x;
        if (_config.Ladders.Kind == LadderKind.Projected)
        {
            var rows = _linear.forward(from.reshape(-1, x.shape[^1]));
            var z = _ladders.forward(gated);
            return _combine.AddTo(rows, z.view(-1, z.shape[^1])).view(x.shape).MoveToOuterDisposeScope();
        }

        var combined = _ladders.Combine(gated, _combine.Weight);
        return SumInPlace.Of(_linear.forward(from), combined).MoveToOuterDisposeScope();
    }
}
