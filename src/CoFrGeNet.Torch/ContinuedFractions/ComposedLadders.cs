using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Torch.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

// Dimensions: ... = any leading dimensions, d = depth, L = number of ladders, k = level (1 = outermost).
// Every tensor below that belongs to one level is [..., L].

/// <summary>
/// Forward and backward of <see cref="LadderFunction"/> composed of tensor operations, so that it runs on every device and in every type.
/// Formulas: <see cref="Continuant.Gradient{T}"/>.
/// </summary>
internal static class ComposedLadders
{
    /// <summary>f [..., L] of a [..., d, L], in a's type.</summary>
    public static Tensor Forward(Tensor a, PoleGuard guard, LadderRange range, PoleStatistics? statistics)
    {
        using DisposeScope scope = NewDisposeScope();
        using var levels = new LadderLevels(a, guard, range);
        using Scalar start = range.Scale.ToScalar();

        // K_{k-1} and K_k, each in a buffer of its own; null stands for the constant K_0.
        Tensor? previous = null;
        Tensor current = FirstContinuant(levels, guard, range, start);
        for (int k = range.Depth - 1; k >= 1; k--)
        {
            Tensor level = levels.Take(k);
            if (previous is null)
            {
                (previous, current) = (current, level.mul_(current).add_(start));
            }
            else
            {
                (previous, current) = (current, previous.addcmul_(level, current, HeldScalars.One));
                level.Dispose();
            }
        }

        statistics?.AddDenominators(current, guard.Epsilon * range.Scale, range.Scale);
        Tensor f = guard is SmoothGuard
            ? SmoothWeight(current, guard, range).mul_(current)
            : GuardedDenominator(current, guard).reciprocal_();
        f = previous is null ? f.mul_(start) : f.mul_(previous);
        statistics?.AddOutputs(f);
        return LadderLevels.ToType(f, a.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>The gradient for a [..., d, L], given the gradient for f [..., L]; in a's type.</summary>
    public static Tensor Backward(Tensor a, PoleGuard guard, LadderRange range, Tensor gradOutput)
    {
        using DisposeScope scope = NewDisposeScope();
        using var levels = new LadderLevels(a, guard, range);
        Tensor gradient = gradOutput.to_type(levels.ComputeType);
        Tensor negated = gradient.neg();
        Tensor[] derivatives = guard is SmoothGuard
            ? SmoothDerivatives(levels, guard, range)
            : PropositionOne(levels, guard, range);
        for (int k = 1; k <= range.Depth; k++)
        {
            bool isNegated = guard is SmoothGuard ? k == 1 : int.IsOddInteger(k);
            derivatives[k - 1].mul_(isNegated ? negated : gradient);
            if (guard is PositiveGuard)
            {
                using Tensor logistic = levels.Logistic(k);
                derivatives[k - 1].mul_(logistic);
            }
        }

        return LadderLevels.ToType(levels.Join(derivatives), a.dtype).MoveToOuterDisposeScope();
    }

    // |df/da_k| of Proposition 1, (K_{d-k} r)^2; the sign (-1)^k is left to the caller.
    private static Tensor[] PropositionOne(LadderLevels levels, PoleGuard guard, LadderRange range)
    {
        Tensor?[] continuants = Continuants(levels, guard, range, out Tensor last, keptLevels: null);
        Tensor reciprocal = GuardedDenominator(last, guard).reciprocal_();
        using Scalar limit = range.MaxGradient.ToScalar();
        var derivatives = new Tensor[range.Depth];
        for (int k = 1; k <= range.Depth; k++)
        {
            Tensor? head = continuants[k - 1];
            Tensor ratio = head is null ? reciprocal : head.mul_(reciprocal);
            ratio.mul_(ratio);
            if (guard is ClampGuard && range.SquareCanOverflow(k))
            {
                ratio.clamp_max_(limit);
            }

            derivatives[k - 1] = ratio;
        }

        return derivatives;
    }

    // df/da_k of the smooth guard, K_{d-k} ((-1)^k K_{d-k} q + Y_{k-2}); the sign of level 1 is left to the caller.
    private static Tensor[] SmoothDerivatives(LadderLevels levels, PoleGuard guard, LadderRange range)
    {
        int depth = range.Depth;
        double epsilon = guard.Epsilon * range.Scale;
        var kept = new Tensor?[depth];
        Tensor?[] continuants = Continuants(levels, guard, range, out Tensor last, kept);
        using Scalar epsilonScalar = epsilon.ToScalar();
        using Scalar twoEpsilonSquares = (2 * epsilon * epsilon).ToScalar();
        using Scalar start = range.Scale.ToScalar();
        using Scalar negatedStart = (-range.Scale).ToScalar();
        Tensor w = SmoothWeight(last, guard, range);
        Tensor r = last.mul_(w);
        Tensor v = w.mul(epsilonScalar);
        Tensor q = r.sub(v).mul_(v.add_(r, HeldScalars.One));

        // Y_{k-2} and Y_{k-1} of round k: Y_0 = y, Y_1 = a_2 y, Y_k = a_{k+1} Y_{k-1} + Y_{k-2}.
        Tensor? previous = null;
        Tensor current = w.mul_(twoEpsilonSquares).mul_(r);
        var derivatives = new Tensor[depth];
        for (int k = 1; k <= depth; k++)
        {
            bool isOdd = int.IsOddInteger(k);
            Tensor? head = continuants[k - 1];
            Tensor inner = (previous, head) switch
            {
                (null, null) => q.mul(start),
                (null, _) => q.mul(head),
                (_, null) => previous.add(q, isOdd ? negatedStart : start),
                _ => previous.addcmul(head, q, isOdd ? HeldScalars.MinusOne : HeldScalars.One),
            };
            derivatives[k - 1] = head is null ? inner.mul_(start) : inner.mul_(head);
            head?.Dispose();
            if (range.SmoothCanOverflow(k))
            {
                // Infinite terms of opposite signs meet only where the derivative is beyond the type: no direction is left.
                inner.nan_to_num_(0, range.MaxGradient, -range.MaxGradient);
            }

            (previous, current) = (current, NextPrefix(k, depth, kept, previous, current));
        }

        return derivatives;
    }

    private static Tensor NextPrefix(int k, int depth, Tensor?[] kept, Tensor? previous, Tensor current)
    {
        if (k > depth - 2)
        {
            return current;
        }

        using Tensor level = kept[k]!;
        return previous is null ? level.mul(current) : previous.addcmul_(level, current, HeldScalars.One);
    }

    // [k - 1] holds K_{d-k}; null at k = d, where K_0 is a constant. Fills keptLevels [k - 1] with a_k for 1 < k < d, where given.
    private static Tensor?[] Continuants(
        LadderLevels levels, PoleGuard guard, LadderRange range, out Tensor last, Tensor?[]? keptLevels)
    {
        int depth = range.Depth;
        using Scalar start = range.Scale.ToScalar();
        var continuants = new Tensor?[depth];
        last = FirstContinuant(levels, guard, range, start);
        for (int k = depth - 1; k >= 1; k--)
        {
            continuants[k - 1] = last;
            Tensor level = levels.Take(k);
            bool isKept = keptLevels is not null && k > 1;
            Tensor? beforeLast = continuants[k];
            last = (beforeLast, isKept) switch
            {
                (null, true) => level.mul(last).add_(start),
                (null, false) => level.mul_(last).add_(start),
                _ => beforeLast.addcmul(level, last, HeldScalars.One),
            };
            if (isKept)
            {
                keptLevels![k - 1] = level;
            }
            else if (beforeLast is not null)
            {
                level.Dispose();
            }
        }

        return continuants;
    }

    private static Tensor FirstContinuant(LadderLevels levels, PoleGuard guard, LadderRange range, Scalar start)
    {
        Tensor level = levels.Take(range.Depth);
        if (guard is ClampGuard)
        {
            // -0 becomes +0, and no later continuant is -0 then: sgn(0) = +1 although copysign reads the sign bit.
            level.add_(HeldScalars.Zero);
        }
        else if (range.ScaleExponent > 0)
        {
            level.mul_(start);
        }

        return level;
    }

    // sgn(K_d) max(|K_d|, eps) for the clamp, K_d itself otherwise; may overwrite K_d.
    private static Tensor GuardedDenominator(Tensor last, PoleGuard guard)
    {
        if (guard is not ClampGuard)
        {
            return last;
        }

        using Scalar epsilon = guard.Epsilon.ToScalar();
        return last.abs().clamp_min_(epsilon).copysign_(last);
    }

    // w = 1 / (K_d^2 + eps^2) in the units of the scaled recurrence.
    private static Tensor SmoothWeight(Tensor last, PoleGuard guard, LadderRange range)
    {
        double epsilon = guard.Epsilon * range.Scale;
        using Scalar square = (epsilon * epsilon).ToScalar();
        return last.mul(last).add_(square).reciprocal_();
    }
}
