using TorchSharp.Utils;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>Layer norm with weight and bias, in the type of its parameters.</summary>
public sealed class LayerNorm : nn.Module<Tensor, Tensor>
{
    private readonly double _epsilon;

    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    [ComponentName(Name = "bias")]
    private readonly Parameter _bias;

    /// <summary>Creates the norm with weight 1 and bias 0.</summary>
    /// <param name="width">Width of the input.</param>
    /// <param name="epsilon">Added to the variance.</param>
    /// <param name="options">Where the parameters live.</param>
    public LayerNorm(int width, double epsilon, ModuleOptions options)
        : base(nameof(LayerNorm))
    {
        _epsilon = epsilon;
        _weight = new Parameter(options.Constant(1, width));
        _bias = new Parameter(options.Constant(0, width));
        RegisterComponents();
    }

    /// <summary>Applies the norm.</summary>
    /// <param name="x">[.., width].</param>
    public override Tensor forward(Tensor x) => nn.functional.layer_norm(x, _weight.shape, _weight, _bias, _epsilon);
}
