using System.Buffers;
using System.Numerics.Tensors;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

// Dimensions: n = rows, V = vocabulary.

/// <summary>Cross entropy of rows of logits, and its gradient written over the logits. One row at a time, so that it stays in the cache.</summary>
public static unsafe class CrossEntropyKernel
{
    /// <summary>-log softmax(logits)[target] of every row, in nats; where asked for, the logits become the gradient.</summary>
    /// <param name="logits">[n, V], one row behind the other.</param>
    /// <param name="vocabulary">V.</param>
    /// <param name="targets">One id a row, each in 0 .. V - 1.</param>
    /// <param name="losses">Receives the rows' losses, [n].</param>
    /// <param name="gradientScale">
    /// Where given, row i of logits becomes (softmax(logits_i) - onehot(target_i)) times this; otherwise the logits are left undefined.
    /// </param>
    /// <param name="threads">Most threads to use.</param>
    /// <exception cref="ArgumentOutOfRangeException">A target lies outside the vocabulary.</exception>
    public static void Apply(float* logits, int vocabulary, ReadOnlySpan<long> targets, Span<double> losses, float? gradientScale, int threads)
    {
        Check(vocabulary, targets, losses);
        fixed (long* firstTarget = targets)
        fixed (double* firstLoss = losses)
        {
            var (target, loss) = ((nint)firstTarget, (nint)firstLoss);
            RowPartition.Run(targets.Length, threads, row =>
            {
                var values = new Span<float>(logits + ((long)row * vocabulary), vocabulary);
                ((double*)loss)[row] = Row(values, (int)((long*)target)[row], gradientScale);
            });
        }
    }

    /// <summary>As the float32 form, on bfloat16 logits as their bits; computed in float32, the gradient rounded once.</summary>
    /// <inheritdoc cref="Apply(float*, int, ReadOnlySpan{long}, Span{double}, float?, int)"/>
    public static void Apply(ushort* logits, int vocabulary, ReadOnlySpan<long> targets, Span<double> losses, float? gradientScale, int threads)
    {
        Check(vocabulary, targets, losses);
        fixed (long* firstTarget = targets)
        fixed (double* firstLoss = losses)
        {
            var (target, loss) = ((nint)firstTarget, (nint)firstLoss);
            RowPartition.Run(targets.Length, threads, row =>
            {
                var buffer = ArrayPool<float>.Shared.Rent(vocabulary);
                var values = buffer.AsSpan(0, vocabulary);
                var bits = new Span<ushort>(logits + ((long)row * vocabulary), vocabulary);
                BFloat16Rows.ToSingle(bits, values);
                ((double*)loss)[row] = Row(values, (int)((long*)target)[row], gradientScale);
                if (gradientScale is not null)
                {
                    BFloat16Rows.FromSingle(values, bits);
                }

                ArrayPool<float>.Shared.Return(buffer);
            });
        }
    }

    private static double Row(Span<float> values, int target, float? gradientScale)
    {
        var atTarget = values[target];
        var max = TensorPrimitives.Max<float>(values);
        TensorPrimitives.Subtract(values, max, values);
        TensorPrimitives.Exp<float>(values, values);
        var sum = TensorPrimitives.Sum<float>(values);
        if (gradientScale is { } scale)
        {
            TensorPrimitives.Multiply(values, scale / sum, values);
            values[target] -= scale;
        }

        return Math.Log(sum) + ((double)max - atTarget);
    }

    private static void Check(int vocabulary, ReadOnlySpan<long> targets, Span<double> losses)
    {
        if (losses.Length != targets.Length)
        {
            throw new ArgumentException($"There is room for {losses.Length} losses; there are {targets.Length} targets.", nameof(losses));
        }

        foreach (var target in targets)
        {
            if (target < 0 || target >= vocabulary)
            {
                throw new ArgumentOutOfRangeException(nameof(targets), target, $"A target is {target}; it must lie in 0 to {vocabulary - 1}.");
            }
        }
    }
}
