using CoFrGeNet.Configuration;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>Llama's feed-forward: W_down (SiLU(W_gate x) (.) W_up x).</summary>
public sealed class SwiGlu : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "gate")]
    private readonly Linear _gate;

    [ComponentName(Name = "up")]
    private readonly Linear _up;

    [ComponentName(Name = "down")]
    private readonly Linear _down;

    /// <summary>Creates the feed-forward.</summary>
    /// <param name="width">Width p of input and output.</param>
    /// <param name="config">Hidden width.</param>
    /// <param name="options">Where the parameters live and how they are drawn.</param>
    public SwiGlu(int width, SwiGluConfig config, ModuleOptions? options = null)
        : base(nameof(SwiGlu))
    {
        config.Validate(width);
        options ??= ModuleOptions.Default;
        _gate = new Linear(width, config.HiddenSize, bias: false, options.InitialStd, options);
        _up = new Linear(width, config.HiddenSize, bias: false, options.InitialStd, options);
        _down = new Linear(config.HiddenSize, width, bias: false, options.ResidualStd, options);
        RegisterComponents();
    }

    /// <summary>Applies the feed-forward.</summary>
    /// <param name="x">[.., p].</param>
    /// <returns>[.., p].</returns>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        return _down.forward(nn.functional.silu(_gate.forward(x)) * _up.forward(x)).MoveToOuterDisposeScope();
    }
}
