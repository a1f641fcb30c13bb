using System.Diagnostics;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Inference;

/// <summary>A norm over the width of a row.</summary>
internal sealed unsafe class Norm
{
    private readonly NormKind _kind;
    private readonly int _width;
    private readonly float _epsilon;
    private readonly float* _weight;
    private readonly float* _bias;

    /// <summary>Reads its tensors.</summary>
    /// <param name="weights">Where from.</param>
    /// <param name="name">Its name.</param>
    /// <param name="config">Which.</param>
    /// <param name="width">The width.</param>
    public Norm(WeightReader weights, string name, NormConfig config, int width)
    {
        (_kind, _width, _epsilon) = (config.Kind, width, (float)config.Epsilon);
        _weight = weights.Vector($"{name}.weight", width);
        _bias = config.Kind == NormKind.LayerNorm ? weights.Vector($"{name}.bias", width) : null;
    }

    /// <summary>Applies it to a row.</summary>
    /// <param name="kernels">The kernels.</param>
    /// <param name="x">The row.</param>
    /// <param name="y">Receives the result.</param>
    public void Apply(EngineKernels kernels, float* x, float* y)
    {
        switch (_kind)
        {
            case NormKind.LayerNorm: kernels.LayerNorm(x, _width, _weight, _bias, _epsilon, y); break;
            case NormKind.RmsNorm: kernels.RmsNorm(x, _width, _weight, _epsilon, y); break;
            default: throw new UnreachableException($"No norm for {_kind}.");
        }
    }
}
