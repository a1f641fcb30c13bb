using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Cli;

/// <summary>The public re-implementation's ladders: L = 3 for each of N x 768 coordinates, from the gate g and the weights, summed with weights V.</summary>
internal sealed class ElementwiseWorkload : LadderWorkload
{
    private const int Ladders = 3;
    private readonly Tensor _g;
    private readonly Tensor _levels;
    private readonly Tensor _combine;
    private readonly Tensor _upstream;
    private readonly long _tokens;

    /// <summary>Draws gate and weights.</summary>
    /// <param name="tokens">N.</param>
    /// <param name="device">Where they lie.</param>
    public ElementwiseWorkload(int tokens, Device device)
    {
        _tokens = tokens;
        _g = randn(tokens, Width, device: device).requires_grad_(true);
        _levels = randn(Depth, Ladders, Width, device: device).requires_grad_(true);
        _combine = randn(Ladders, Width, device: device).requires_grad_(true);
        _upstream = randn(tokens, Width, device: device);
    }

    /// <summary>
    /// Multiplications and multiply-adds that forward and backward need at least, each counted as two operations. A ladder of a coordinate takes
    /// forward d products w_k g, d - 1 steps of the continuants, f = K_{d-1} / K_d, and one term of the sum: 2 d + 1. Backward takes the 2 d - 1
    /// of the continuants again, f and the gradient for V, the gradient for f and its product with g, d - 1 ratios K_{d-k} / K_d and d squares,
    /// d terms each of the gradients for w and g, and one to add the latter: 6 d + 3. Divisions and the guard are not counted.
    /// </summary>
    public double Operations => 2.0 * _tokens * Width * Ladders * ((8 * Depth) + 4);

    /// <summary>What forward and backward must read and write: g and y, then g, the gradient for y and that for g.</summary>
    public double ForwardBackwardBytes => 4.0 * _tokens * Width * 5;

    /// <inheritdoc/>
    protected override IReadOnlyList<Tensor> Inputs => [_g, _levels, _combine];

    /// <inheritdoc/>
    protected override Tensor Upstream => _upstream;

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        foreach (var tensor in new[] { _g, _levels, _combine, _upstream })
        {
            tensor.Dispose();
        }
    }

    /// <inheritdoc/>
    protected override Tensor Evaluate(string contestant)
    {
        if (contestant == Fused)
        {
            return ElementwiseFunction.Apply(_g, _levels, biases: null, _combine, Guard, statistics: null, outputs: null);
        }

        var a = (_g.unsqueeze(-2).unsqueeze(-2) * _levels).flatten(-2);
        var z = contestant == Naive ? LadderReference.NestedDivision(a) : LadderFunction.Apply(a, Guard);
        return (z.view(_tokens, Ladders, Width) * _combine).sum(-2);
    }
}
