using CoFrGeNet.Torch;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>Gradients of single ladders: one at a pole hides in the norm of its layer, and takes all the room under a clip.</summary>
/// <remarks>Letters: J ladders of the layer.</remarks>
internal static class LadderGradients
{
    /// <summary>The gradient norm of each ladder's weights and biases over all levels; 0 where it has none.</summary>
    /// <param name="layer">The layer, after a backward pass.</param>
    /// <returns>[J].</returns>
    public static double[] Norms(ILadderLayer layer)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        return SquaredNorms(layer) is { } squares ? squares.sqrt_().cpu().to(ScalarType.Float64).data<double>().ToArray() : [0];
    }

    /// <summary>Scales down every ladder whose gradient norm is above a limit, in place.</summary>
    /// <param name="layer">The layer, after a backward pass.</param>
    /// <param name="limit">Largest norm of one ladder; above 0.</param>
    public static void Clip(ILadderLayer layer, double limit)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        if (SquaredNorms(layer) is not { } squares)
        {
            return;
        }

        // Held while the calls run: what a finalizer frees in between ends the process.
        using var most = limit.ToScalar();
        var scale = squares.sqrt_().clamp_min_(most).reciprocal_().mul_(most);
        foreach (var gradient in Gradients(layer))
        {
            gradient.view(scale.shape[0], -1).mul_(scale.unsqueeze(-1));
        }
    }

    private static IEnumerable<Tensor> Gradients(ILadderLayer layer) =>
        layer.LevelParameters.SelectMany(level => level).Select(parameter => parameter.grad).OfType<Tensor>();

    // [J], or null while every level is frozen. Each parameter holds J ladders' numbers one after the other.
    private static Tensor? SquaredNorms(ILadderLayer layer)
    {
        var first = layer.LevelParameters[0][0].shape;
        var count = first[..layer.LadderAxes].Aggregate(1L, (product, size) => product * size);
        Tensor? sum = null;
        using var one = 1.0.ToScalar();
        foreach (var gradient in Gradients(layer))
        {
            var squares = gradient.view(count, -1).square().sum(-1);
            sum = sum is null ? squares : sum.add_(squares, one);
        }

        return sum;
    }
}
