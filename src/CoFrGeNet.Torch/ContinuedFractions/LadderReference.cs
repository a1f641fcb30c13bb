using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

// Dimensions: ... = any leading dimensions, d = depth, L = number of ladders.

/// <summary>
/// The ladder by d nested divisions and plain autograd, with no guard: what <see cref="LadderFunction"/> is checked against.
/// </summary>
public static class LadderReference
{
    /// <summary>f = 1 / (a_1 + 1 / (a_2 + .. + 1 / a_d)), differentiable any number of times.</summary>
    /// <param name="a">The partial denominators, [..., d, L], floating point.</param>
    /// <returns>f, [..., L]; infinite or NaN where a division meets a zero.</returns>
    /// <exception cref="ArgumentException"><paramref name="a"/> has fewer than 2 dimensions or no level.</exception>
    public static Tensor NestedDivision(Tensor a)
    {
        ArgumentNullException.ThrowIfNull(a);
        if (a.dim() < 2 || a.size(-2) < 1)
        {
            throw new ArgumentException(
                $"The partial denominators have the shape [{string.Join(", ", a.shape)}]; it must be [..., d, L] with d at least 1.",
                nameof(a));
        }

        using var scope = NewDisposeScope();
        long depth = a.size(-2);
        Tensor f = a.select(-2, depth - 1).reciprocal();
        for (long k = depth - 2; k >= 0; k--)
        {
            f = a.select(-2, k).Plus(f).reciprocal();
        }

        return f.MoveToOuterDisposeScope();
    }
}
