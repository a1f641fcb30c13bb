using CoFrGeNet.Torch.Native;
using TorchSharp;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>A low-rank addition to a linear map (LoRA, Hu et al. 2021): y + (alpha / r) B A x, with B = 0 at first.</summary>
public sealed class LoraAdapter : nn.Module<Tensor, Tensor>
{
    // A: r x inputs.
    [ComponentName(Name = "a")]
    private readonly Parameter _a;

    // B: outputs x r.
    [ComponentName(Name = "b")]
    private readonly Parameter _b;

    private readonly Scalar _scale;

    /// <summary>Creates an addition that changes nothing yet.</summary>
    /// <param name="weight">W, outputs x inputs: gives sizes and device.</param>
    /// <param name="rank">Rank r.</param>
    /// <param name="alpha">The addition is scaled by alpha / r.</param>
    internal LoraAdapter(Tensor weight, int rank, double alpha)
        : base(nameof(LoraAdapter))
    {
        _scale = (alpha / rank).ToScalar();
        var options = new ModuleOptions { Device = weight.device };
        // The deviation of the uniform distribution that linear layers start from by custom.
        _a = new Parameter(options.Normal(1 / Math.Sqrt(3.0 * weight.shape[1]), rank, weight.shape[1]));
        _b = new Parameter(options.Constant(0, weight.shape[0], rank));
        RegisterComponents();
    }

    /// <summary>The addition alone.</summary>
    /// <param name="x">[.., inputs].</param>
    /// <returns>[.., outputs], float32.</returns>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        return (nn.functional.linear(nn.functional.linear(x.to(_a.dtype), _a), _b) * _scale).MoveToOuterDisposeScope();
    }

    /// <summary>y with the addition for x, in the type of y.</summary>
    internal Tensor AddTo(Tensor y, Tensor x)
    {
        using var scope = NewDisposeScope();
        return y.Plus(forward(x).to(y.dtype)).MoveToOuterDisposeScope();
    }

    /// <summary>Adds (alpha / r) B A to W for good.</summary>
    internal void MergeInto(Parameter weight)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        weight.add_(_b.matmul(_a), alpha: _scale);
    }
}
