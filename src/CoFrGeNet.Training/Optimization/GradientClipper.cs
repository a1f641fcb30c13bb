using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>Gradient norms of one step, before clipping.</summary>
/// <param name="Total">Of all parameters together.</param>
/// <param name="ByComponent">Of each component over all layers.</param>
public sealed record GradientNorms(double Total, IReadOnlyDictionary<Component, double> ByComponent)
{
    /// <summary>Whether every gradient is a finite number.</summary>
    public bool IsFinite => double.IsFinite(Total);
}

/// <summary>What clipping would do to the gradients of one step.</summary>
/// <param name="Norms">Their norms as they are.</param>
/// <param name="Scales">By the parameter's name, what its gradient is to be multiplied by; without those that stay.</param>
public sealed record GradientClip(GradientNorms Norms, IReadOnlyDictionary<string, double> Scales);

/// <summary>
/// Clips gradients twice: each component of each layer to a norm of its own, so that one ladder at a pole cannot starve the rest, then all
/// together. It measures; <see cref="AdamW.Step"/> clips as it reads the gradients.
/// </summary>
public sealed class GradientClipper
{
    private readonly IReadOnlyList<ComponentGroup> _groups;
    private readonly double _componentNorm;
    private readonly double _globalNorm;
    private readonly IParameterShares _shares;

    /// <summary>Creates the clipper.</summary>
    /// <param name="groups">The parameters.</param>
    /// <param name="componentNorm">Largest norm of one group; 0: no limit.</param>
    /// <param name="globalNorm">Largest norm of all; 0: no limit.</param>
    /// <param name="shares">What this process holds of each gradient; null: all of it.</param>
    public GradientClipper(IReadOnlyList<ComponentGroup> groups, double componentNorm, double globalNorm, IParameterShares? shares = null)
    {
        _shares = shares ?? WholeParameters.Instance;
        _groups = groups;
        _componentNorm = componentNorm;
        _globalNorm = globalNorm;
    }

    /// <summary>Measures the gradients and leaves them as they are.</summary>
    /// <returns>The norms, and by how much each gradient is too long. Where one is not finite no scale is given; the caller skips the step.</returns>
    public GradientClip Measure()
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var gradients = _groups.Select(group => group.Parameters.Select(entry => _shares.Gradient(entry.Name, entry.Parameter)).OfType<Tensor>().ToArray()).ToArray();
        var norms = _shares.Total(GroupSquares(gradients)).Select(Math.Sqrt).ToArray();
        var measured = Norms(norms);
        var scales = new Dictionary<string, double>();
        if (!measured.IsFinite)
        {
            return new GradientClip(measured, scales);
        }

        var own = norms.Select(norm => _componentNorm > 0 && norm > _componentNorm ? _componentNorm / norm : 1).ToArray();
        var clipped = Math.Sqrt(norms.Zip(own, (norm, scale) => norm * norm * scale * scale).Sum());
        var global = _globalNorm > 0 && clipped > _globalNorm ? _globalNorm / clipped : 1;
        for (var g = 0; g < _groups.Count; g++)
        {
            if (own[g] * global < 1)
            {
                foreach (var (name, _) in _groups[g].Parameters)
                {
                    scales[name] = own[g] * global;
                }
            }
        }

        return new GradientClip(measured, scales);
    }

    private static double[] GroupSquares(Tensor[][] gradients)
    {
        var norms = TensorNorms.Of([.. gradients.SelectMany(group => group)]);
        var next = 0;
        return [.. gradients.Select(group => group.Sum(_ => Math.Pow(norms[next++], 2)))];
    }

    private GradientNorms Norms(double[] norms)
    {
        var byComponent = _groups.Zip(norms).GroupBy(pair => pair.First.Component)
            .ToDictionary(group => group.Key, group => Math.Sqrt(group.Sum(pair => pair.Second * pair.Second)));
        return new GradientNorms(Math.Sqrt(norms.Sum(norm => norm * norm)), byComponent);
    }
}
