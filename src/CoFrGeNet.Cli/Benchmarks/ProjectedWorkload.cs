using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Cli;

/// <summary>N x 768 ladders on given partial denominators a [N, d, 768].</summary>
internal sealed class ProjectedWorkload : LadderWorkload
{
    private readonly Tensor _a;
    private readonly Tensor _upstream;
    private readonly long _tokens;

    /// <summary>Draws the partial denominators.</summary>
    /// <param name="tokens">N.</param>
    /// <param name="device">Where they lie.</param>
    public ProjectedWorkload(int tokens, Device device)
    {
        _tokens = tokens;
        _a = randn(tokens, Depth, Width, device: device).requires_grad_(true);
        _upstream = randn(tokens, Width, device: device);
    }

    /// <summary>What forward must read and write: a and f.</summary>
    public double ForwardBytes => 4.0 * _tokens * Width * (Depth + 1);

    /// <summary>What forward and backward must read and write: a and f, then a, the gradient for f and that for a.</summary>
    public double ForwardBackwardBytes => ForwardBytes + (4.0 * _tokens * Width * ((2 * Depth) + 1));

    /// <inheritdoc/>
    protected override IReadOnlyList<Tensor> Inputs => [_a];

    /// <inheritdoc/>
    protected override Tensor Upstream => _upstream;

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        _a.Dispose();
        _upstream.Dispose();
    }

    /// <inheritdoc/>
    protected override Tensor Evaluate(string contestant) =>
        contestant == Naive ? LadderReference.NestedDivision(_a) : LadderFunction.Apply(_a, Guard);
}
