using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

// Dimensions: ... = any leading dimensions, N = their product, p = width, d = depth, L = number of ladders.

/// <summary>
/// Forward and backward of <see cref="ElementwiseFunction"/> composed of tensor operations: for inputs whose kernel failed after the graph was made.
/// The inputs are g [..., p], w [d, L, p], V [L, p] and perhaps b [d, L p].
/// </summary>
internal static class ComposedElementwise
{
    /// <summary>y [..., p], float32.</summary>
    public static Tensor Forward(IReadOnlyList<Tensor> inputs, PoleGuard guard, PoleStatistics? statistics, OutputRange? outputs)
    {
        using var scope = NewDisposeScope();
        Tensor a = Denominators(inputs);
        Tensor f = ComposedLadders.Forward(a, guard, Range(inputs, guard), statistics);
        if (outputs is not null)
        {
            f = outputs.forward(f);
        }

        return (Ladders(f, inputs) * inputs[2]).sum(-2).view(inputs[0].shape).MoveToOuterDisposeScope();
    }

    /// <summary>The gradients for the inputs, in their order, given the one for y.</summary>
    public static Tensor[] Backward(IReadOnlyList<Tensor> inputs, PoleGuard guard, Tensor gradY)
    {
        using var scope = NewDisposeScope();
        LadderRange range = Range(inputs, guard);
        Tensor a = Denominators(inputs);
        Tensor upstream = gradY.to_type(ScalarType.Float32).view(a.size(0), 1, -1);
        Tensor f = Ladders(ComposedLadders.Forward(a, guard, range, statistics: null), inputs);
        Tensor gradF = (upstream * inputs[2]).view(a.size(0), -1);
        Tensor gradA = ComposedLadders.Backward(a, guard, range, gradF).view([a.size(0), .. inputs[1].shape]);
        List<Tensor> gradients =
        [
            (gradA * inputs[1]).sum([1, 2]).to_type(inputs[0].dtype).view(inputs[0].shape),
            (gradA * Wide(inputs[0])).sum([0]),
            (upstream * f).sum([0]),
        ];
        if (inputs.Count > 3)
        {
            gradients.Add(gradA.sum([0]).view(inputs[3].shape));
        }

        return [.. gradients.Select(gradient => gradient.DetachFromDisposeScope())];
    }

    private static LadderRange Range(IReadOnlyList<Tensor> inputs, PoleGuard guard) => LadderRange.For((int)inputs[1].size(0), 127, guard);

    // [N, 1, 1, p], float32.
    private static Tensor Wide(Tensor g) => g.to_type(ScalarType.Float32).view(-1, 1, 1, g.size(-1));

    // [N, d, L p].
    private static Tensor Denominators(IReadOnlyList<Tensor> inputs)
    {
        Tensor a = (Wide(inputs[0]) * inputs[1]).flatten(2);
        return inputs.Count > 3 ? a.Plus(inputs[3].view(a.size(1), -1)) : a;
    }

    // [N, L p] as [N, L, p].
    private static Tensor Ladders(Tensor f, IReadOnlyList<Tensor> inputs) => f.view([-1, .. inputs[2].shape]);
}
