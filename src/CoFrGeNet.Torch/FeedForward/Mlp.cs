using CoFrGeNet.Configuration;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>GPT-2's feed-forward: W_2 GELU(W_1 x + b_1) + b_2, with GPT-2's tanh form of GELU.</summary>
public sealed class Mlp : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "up")]
    private readonly Linear _up;

    [ComponentName(Name = "down")]
    private readonly Linear _down;

    /// <summary>Creates the feed-forward.</summary>
    /// <param name="width">Width p of input and output.</param>
    /// <param name="config">Hidden width and biases.</param>
    /// <param name="options">Where the parameters live and how they are drawn.</param>
    public Mlp(int width, MlpConfig config, ModuleOptions? options = null)
        : base(nameof(Mlp))
    {
        config.Validate(width);
        options ??= ModuleOptions.Default;
        var hidden = config.ResolveHiddenSize(width);
        _up = new Linear(width, hidden, config.Bias, options.InitialStd, options);
        _down = new Linear(hidden, width, config.Bias, options.ResidualStd, options);
        RegisterComponents();
    }

    /// <summary>Applies the feed-forward.</summary>
    /// <param name="x">[.., p].</param>
    /// <returns>[.., p].</returns>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        return _down.forward(nn.functional.gelu(_up.forward(x), TorchSharp.Modules.GELU.Approximate.tanh)).MoveToOuterDisposeScope();
    }
}
