using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

// Dimensions: ... = any leading dimensions, d = depth, L = number of ladders, k = level (1 = outermost).

/// <summary>
/// The partial denominators a [..., d, L] read level by level: in the type of the computation, bounded, and contiguous,
/// because operations on strided levels cost up to five times as much.
/// </summary>
internal sealed class LadderLevels : IDisposable
{
    private readonly Tensor _a;
    private readonly Scalar _bound;
    private readonly Scalar _negatedBound;
    private readonly Scalar? _epsilon;

    public LadderLevels(Tensor a, PoleGuard guard, LadderRange range)
    {
        _a = a;
        _bound = range.Bound.ToScalar();
        _negatedBound = (-range.Bound).ToScalar();
        _epsilon = guard is PositiveGuard ? guard.Epsilon.ToScalar() : null;
        ComputeType = a.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
    }

    /// <summary>The type in which continuants are computed.</summary>
    public ScalarType ComputeType { get; }

    /// <summary>a_k [..., L] as the recurrence takes it, in a new tensor that the caller may overwrite.</summary>
    public Tensor Take(int level)
    {
        using Tensor view = _a.select(-2, level - 1);
        Tensor bounded;
        if (_a.dtype == ComputeType)
        {
            bounded = view.clamp(_negatedBound, _bound);
        }
        else
        {
            bounded = view.to_type(ComputeType).clamp_(_negatedBound, _bound);
        }

        if (_epsilon is null)
        {
            return bounded;
        }

        using (bounded)
        {
            // ln(1 + e^a) is -ln sigmoid(-a).
            bounded.neg_();
            return nn.functional.logsigmoid(bounded).neg_().add_(_epsilon);
        }
    }

    /// <summary>The derivative of softplus at a_k, [..., L].</summary>
    public Tensor Logistic(int level)
    {
        using Tensor view = _a.select(-2, level - 1);
        using Tensor x = view.to_type(ComputeType);
        return x.sigmoid();
    }

    /// <summary>One tensor [..., d, L] of d tensors [..., L], laid out in memory as a is: levels outermost or innermost but one.</summary>
    public Tensor Join(Tensor[] levels)
    {
        long levelElements = _a.numel() / _a.size(-2);
        if (_a.stride(-2) < levelElements || _a.dim() == 2)
        {
            return stack(levels, -2);
        }

        Tensor joined = stack(levels, 0);
        return joined.movedim([0], [-2]);
    }

    /// <summary>x in the given type; a finite value stays finite. May overwrite x.</summary>
    public static Tensor ToType(Tensor x, ScalarType type)
    {
        if (x.dtype == type)
        {
            return x;
        }

        if (type == ScalarType.Float16)
        {
            using Scalar largest = ((double)System.Half.MaxValue).ToScalar();
            using Scalar smallest = ((double)System.Half.MinValue).ToScalar();
            x.clamp_(smallest, largest);
        }

        return x.to_type(type);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _bound.Dispose();
        _negatedBound.Dispose();
        _epsilon?.Dispose();
    }
}
