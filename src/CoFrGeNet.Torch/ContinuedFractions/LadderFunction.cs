using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

// Dimensions: ... = any leading dimensions (batch, tokens), d = depth, L = number of ladders, k = level (1 = outermost).

/// <summary>
/// Ladders f = 1 / (a_1 + 1 / (a_2 + .. + 1 / a_d)) as one differentiable operation: forward by continuants with one guarded
/// division (PAPER section 1, eqs. 4 and 5), backward in closed form (Proposition 1 and its like for the other guards,
/// see <see cref="Continuant.Gradient{T}"/>).
/// </summary>
public static class LadderFunction
{
    /// <summary>How ladders, and what else has kernels of its own beside them, are computed, in the whole process; <see cref="LadderBackend.Composed"/> is for comparisons.</summary>
    public static LadderBackend Backend { get; set; } =
        Environment.GetEnvironmentVariable("COFRGENET_LADDERS") == "composed" ? LadderBackend.Composed : LadderBackend.Fused;

    /// <summary>
    /// The ladders' values. Only <paramref name="a"/> is kept for the backward pass, which computes the continuants again.
    /// Gradients are first order only: a gradient taken with <c>create_graph</c> is a constant of the graph.
    /// </summary>
    /// <param name="a">
    /// The partial denominators, [..., d, L], level k of ladder j at [..., k - 1, j]; float32, float64, bfloat16 or float16, any strides.
    /// It must not be changed in place before the backward pass.
    /// </param>
    /// <param name="guard">How every f is kept away from its poles.</param>
    /// <param name="statistics">Where given, counts this call's denominators and outputs.</param>
    /// <returns>
    /// f, [..., L], of <paramref name="a"/>'s type; computed in float32, or in float64 where <paramref name="a"/> is float64.
    /// Value and derivatives are finite unless <paramref name="a"/> holds a NaN (<see cref="LadderRange"/>).
    /// </returns>
    /// <exception cref="ArgumentException"><paramref name="a"/> has fewer than 2 dimensions or is not floating point.</exception>
    /// <exception cref="ArgumentOutOfRangeException">d or the guard's epsilon lies outside <see cref="LadderRange"/>'s limits.</exception>
    public static Tensor Apply(Tensor a, PoleGuard guard, PoleStatistics? statistics = null) => Apply(a, guard, statistics, outputs: null);

    /// <summary>As the other overload, and <paramref name="outputs"/>, of shape [L], is widened by f in training and clips f outside it.</summary>
    internal static Tensor Apply(Tensor a, PoleGuard guard, PoleStatistics? statistics, OutputRange? outputs)
    {
        LadderRange range = Check(a, guard);
        LadderNode.ReleaseReturned();
        if (!(a.requires_grad && is_grad_enabled()))
        {
            return LadderKernel.Forward(a, guard, range, statistics, outputs);
        }

        // Clipping stops gradients, so outside training it is an operation of its own in the graph.
        bool isClipped = outputs is not null && !outputs.training;
        Tensor value;
        using (no_grad())
        {
            value = LadderKernel.Forward(a, guard, range, statistics, isClipped ? null : outputs);
        }

        Tensor f = LadderNode.Attach(a, guard, range, value);
        if (!isClipped)
        {
            return f;
        }

        using (f)
        {
            return outputs!.forward(f);
        }
    }

    private static LadderRange Check(Tensor a, PoleGuard guard)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(guard);
        long rank = a.dim();
        if (rank < 2)
        {
            throw new ArgumentException($"The partial denominators have {rank} dimensions; they need at least 2, [..., d, L].", nameof(a));
        }

        ScalarType type = a.dtype;
        if (type is not (ScalarType.Float32 or ScalarType.Float64 or ScalarType.BFloat16 or ScalarType.Float16))
        {
            throw new ArgumentException(
                $"The partial denominators are of type {type}; they must be Float32, Float64, BFloat16 or Float16.", nameof(a));
        }

        int depth = (int)Math.Min(a.size(-2), int.MaxValue);
        return LadderRange.For(depth, type == ScalarType.Float64 ? 1023 : 127, guard);
    }
}
