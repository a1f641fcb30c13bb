using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Cli;

// Dimensions: N = tokens, p = width, d = depth, L = number of ladders.

/// <summary>
/// Ladders by three contestants: nested division with plain autograd, continuants composed of tensor operations, and the fused kernel. The
/// guard is the paper's, outside of whose narrow zone all three are the same function.
/// </summary>
internal abstract class LadderWorkload : IDisposable
{
    public const string Naive = "naive", Composed = "composed", Fused = "fused";

    /// <summary>Width p; of projected ladders their number.</summary>
    public const int Width = 768;

    /// <summary>Depth d.</summary>
    public const int Depth = 5;

    /// <summary>The contestants, the yardsticks first.</summary>
    public static IReadOnlyList<string> Contestants => [Naive, Composed, Fused];

    /// <summary>The guard of composed and fused ladders.</summary>
    protected PoleGuard Guard { get; private set; } = PoleGuard.Paper;

    /// <summary>What gradients are taken for.</summary>
    protected abstract IReadOnlyList<Tensor> Inputs { get; }

    /// <summary>The gradient for the result.</summary>
    protected abstract Tensor Upstream { get; }

    /// <summary>The result by one contestant.</summary>
    /// <param name="contestant">Which.</param>
    protected abstract Tensor Evaluate(string contestant);

    /// <summary>The result without a graph.</summary>
    /// <param name="contestant">By whom.</param>
    public void Forward(string contestant)
    {
        using var quiet = no_grad();
        Run(contestant).Dispose();
        Contest.WaitFor(Upstream);
    }

    /// <summary>The result and the gradients for all inputs.</summary>
    /// <param name="contestant">By whom.</param>
    public void ForwardBackward(string contestant)
    {
        using var scope = NewDisposeScope();
        Gradients(contestant);
        Contest.WaitFor(Upstream);
    }

    /// <summary>Refuses to time anything wrong: fused must agree with composed, and nearly unguarded with nested division.</summary>
    /// <exception cref="InvalidOperationException">They disagree.</exception>
    public void Check()
    {
        using var scope = NewDisposeScope();
        var (fused, fusedGradients) = Gradients(Fused);
        var (composed, composedGradients) = Gradients(Composed);
        var naive = Gradients(Naive).Result;
        Guard = new ClampGuard { Epsilon = LadderRange.MinEpsilon };
        var unguarded = Gradients(Fused).Result;
        Guard = PoleGuard.Paper;

        // Next to poles float32 keeps few digits, whoever computes; a mistake would show in more than a hundredth of the values.
        Require(composed, fused, 1e-3, 0.01);
        Require(naive, unguarded, 1e-3, 0.01);
        for (var i = 0; i < fusedGradients.Count; i++)
        {
            Require(composedGradients[i], fusedGradients[i], 1e-2, 0.02);
        }
    }

    /// <inheritdoc/>
    public virtual void Dispose() => LadderFunction.Backend = LadderBackend.Fused;

    private Tensor Run(string contestant)
    {
        LadderFunction.Backend = contestant == Composed ? LadderBackend.Composed : LadderBackend.Fused;
        using var scope = NewDisposeScope();
        return Evaluate(contestant).MoveToOuterDisposeScope();
    }

    // Not backward(): it would copy a gradient that the custom function still holds into the leaf.
    private (Tensor Result, IReadOnlyList<Tensor> Gradients) Gradients(string contestant)
    {
        var result = Run(contestant);
        return (result.detach(), [.. autograd.grad([result], [.. Inputs], [Upstream])]);
    }

    private static void Require(Tensor expected, Tensor actual, double tolerance, double share)
    {
        using var scope = NewDisposeScope();
        var wrong = (actual - expected).abs().le(expected.abs().add(1e-2).mul(tolerance)).logical_not().to(ScalarType.Float32).mean().item<float>();
        if (!(wrong <= share))
        {
            throw new InvalidOperationException($"{wrong:P2} of the ladders' results differ by more than {tolerance:G2} of their size; at most {share:P0} may, next to poles.");
        }
    }
}
