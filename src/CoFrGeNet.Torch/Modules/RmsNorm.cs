using TorchSharp;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>Root-mean-square norm: w (.) x / sqrt(mean(x^2) + eps), computed in float32.</summary>
public sealed class RmsNorm : nn.Module<Tensor, Tensor>
{
    private readonly Scalar _epsilon;

    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    /// <summary>Creates the norm with weight 1.</summary>
    /// <param name="width">Width of the input.</param>
    /// <param name="epsilon">Added to the mean square.</param>
    /// <param name="options">Where the parameters live.</param>
    public RmsNorm(int width, double epsilon, ModuleOptions options)
        : base(nameof(RmsNorm))
    {
        _epsilon = epsilon.ToScalar();
        _weight = new Parameter(options.Constant(1, width));
        RegisterComponents();
    }

    /// <summary>Applies the norm.</summary>
    /// <param name="x">[.., width].</param>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var wide = x.dtype == ScalarType.Float64 ? x : x.to(ScalarType.Float32);
        var scale = wide.square().mean([-1], keepdim: true).add_(_epsilon).rsqrt();
        return (wide * scale * _weight).MoveToOuterDisposeScope();
    }
}
