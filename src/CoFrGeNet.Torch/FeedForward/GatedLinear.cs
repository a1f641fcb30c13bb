using CoFrGeNet.Configuration;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>The control without ladders (L = 0): y = U (x (.) gate(G x)). 2 p^2 parameters; 3 p^2 where the gate is a product of two maps.</summary>
public sealed class GatedLinear : nn.Module<Tensor, Tensor>
{
    private readonly GateKind _kind;

    [ComponentName(Name = "gate")]
    private readonly Linear _gate;

    [ComponentName(Name = "value")]
    private readonly Linear? _value;

    [ComponentName(Name = "linear")]
    private readonly Linear _linear;

    /// <summary>Creates the feed-forward.</summary>
    /// <param name="width">Width p of input and output.</param>
    /// <param name="config">The gate.</param>
    /// <param name="options">Where the parameters live and how they are drawn.</param>
    public GatedLinear(int width, GatedLinearConfig config, ModuleOptions? options = null)
        : base(nameof(GatedLinear))
    {
        config.Validate(width);
        options ??= ModuleOptions.Default;
        _kind = config.Gate;
        _gate = new Linear(width, width, bias: false, options.InitialStd, options);
        _linear = new Linear(width, width, bias: false, options.ResidualStd, options);
        _value = ValueMap(width, config.Gate, options);
        RegisterComponents();
    }

    /// <summary>Applies the feed-forward.</summary>
    /// <param name="x">[.., p].</param>
    /// <returns>[.., p].</returns>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        return _linear.forward(ApplyGate(x, _gate, _value, _kind)).MoveToOuterDisposeScope();
    }

    /// <summary>A of the product gate, drawn after all other maps so that those are the same with every gate; null for the others.</summary>
    internal static Linear? ValueMap(int width, GateKind kind, ModuleOptions options) =>
        kind == GateKind.Product ? new Linear(width, width, bias: false, options.InitialStd, options) : null;

    internal static Tensor ApplyGate(Tensor x, Linear gate, Linear? value, GateKind kind) =>
        GateFunction.Apply(value is null ? x : value.forward(x), gate.forward(x), kind);
}
