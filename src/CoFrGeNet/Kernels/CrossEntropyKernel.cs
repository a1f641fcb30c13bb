using System.Runtime.CompilerServices;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

// Dimensions: n = rows, V = vocabulary.

/// <summary>Cross entropy of rows of logits, and its gradient written over the logits. One row at a time, so that it stays in the cache.</summary>
public static unsafe class CrossEntropyKernel
{
    // Registers summed side by side, so that one addition need not wait for the other.
    private const int Sums = 4;

    // Rows of bfloat16 become float32 in between; threads keep the room from call to call.
    [ThreadStatic]
    private static float[]? _room;

    /// <summary>-log softmax(logits)[target] of every row, in nats; where asked for, the logits become the gradient.</summary>
    /// <param name="logits">[n, V], one row behind the other.</param>
    /// <param name="vocabulary">V.</param>
    /// <param name="targets">One id a row, each in 0 .. V - 1.</param>
    /// <param name="losses">Receives the rows' losses, [n].</param>
    /// <param name="gradientScale">
    /// Where given, row i of logits becomes (softmax(logits_i) - onehot(target_i)) times this; otherwise the logits stay as they are.
    /// </param>
    /// <param name="threads">Most threads to use.</param>
    /// <exception cref="ArgumentOutOfRangeException">A target lies outside the vocabulary.</exception>
    public static void Apply(float* logits, int vocabulary, ReadOnlySpan<long> targets, Span<double> losses, float? gradientScale, int threads) =>
        Run(logits, vocabulary, targets, losses, gradientScale, threads, null);

    /// <summary>As the float32 form, on bfloat16 logits as their bits; computed in float32, the gradient rounded once.</summary>
    /// <inheritdoc cref="Apply(float*, int, ReadOnlySpan{long}, Span{double}, float?, int)"/>
    public static void Apply(ushort* logits, int vocabulary, ReadOnlySpan<long> targets, Span<double> losses, float? gradientScale, int threads) =>
        Run(logits, vocabulary, targets, losses, gradientScale, threads, null);

    /// <summary>As <c>Apply</c>, with registers of a given width; null: the best.</summary>
    internal static void Run<TElement>(
        TElement* logits, int vocabulary, ReadOnlySpan<long> targets, Span<double> losses, float? gradientScale, int threads, SimdWidth? width)
        where TElement : unmanaged
    {
        Check(vocabulary, targets, losses);
        fixed (long* firstTarget = targets)
        fixed (double* firstLoss = losses)
        {
            var (target, loss) = ((nint)firstTarget, (nint)firstLoss);
            var lanes = width ?? SimdWidths.Best;
            RowPartition.Run(targets.Length, threads, row =>
            {
                var values = logits + ((long)row * vocabulary);
                var id = (int)((long*)target)[row];
                ((double*)loss)[row] = lanes switch
                {
                    SimdWidth.Sixteen => Row<Lanes512, TElement>(values, vocabulary, id, gradientScale),
                    SimdWidth.Eight => Row<Lanes256, TElement>(values, vocabulary, id, gradientScale),
                    SimdWidth.Four => Row<Lanes128, TElement>(values, vocabulary, id, gradientScale),
                    _ => Row<LanesScalar, TElement>(values, vocabulary, id, gradientScale),
                };
            });
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Row<TLanes, TElement>(TElement* logits, int vocabulary, int target, float? gradientScale)
        where TLanes : unmanaged, ILanes<TLanes>
        where TElement : unmanaged
    {
        var atTarget = At(logits, target);
        var largest = TLanes.Of(float.NegativeInfinity);
        for (var i = 0; i < vocabulary; i += TLanes.Count)
        {
            largest = TLanes.Max(largest, LaneMemory<TLanes, TElement>.LoadFirst(logits + i, Math.Min(TLanes.Count, vocabulary - i)));
        }

        var top = TLanes.Largest(largest);
        if (_room is null || _room.Length < vocabulary + TLanes.Count)
        {
            _room = GC.AllocateUninitializedArray<float>(vocabulary + TLanes.Count, pinned: true);
        }

        fixed (float* powers = _room)
        {
            var sum = Powers<TLanes, TElement>(logits, vocabulary, top, powers);
            if (gradientScale is { } scale)
            {
                var factor = TLanes.Of(scale / sum);
                var atOne = (powers[target] * (scale / sum)) - scale;
                for (var i = 0; i < vocabulary; i += TLanes.Count)
                {
                    LaneMemory<TLanes, TElement>.StoreFirst(TLanes.Load(powers + i) * factor, logits + i, Math.Min(TLanes.Count, vocabulary - i));
                }

                LaneMemory<TLanes, TElement>.StorePart(TLanes.Of(atOne), logits + target, 1);
            }

            return Math.Log(sum) + ((double)top - atTarget);
        }
    }

    // exp(logit - top) of every logit; returns their sum.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Powers<TLanes, TElement>(TElement* logits, int vocabulary, float top, float* powers)
        where TLanes : unmanaged, ILanes<TLanes>
        where TElement : unmanaged
    {
        TLanes shift = TLanes.Of(top), a = default, b = default, c = default, d = default;
        var i = 0;
        for (; i <= vocabulary - (Sums * TLanes.Count); i += Sums * TLanes.Count)
        {
            a += Power(logits + i, shift, powers + i);
            b += Power(logits + i + TLanes.Count, shift, powers + i + TLanes.Count);
            c += Power(logits + i + (2 * TLanes.Count), shift, powers + i + (2 * TLanes.Count));
            d += Power(logits + i + (3 * TLanes.Count), shift, powers + i + (3 * TLanes.Count));
        }

        var sum = TLanes.Sum(a + b + (c + d));
        for (; i < vocabulary; i++)
        {
            var power = Exponential.Of(LaneMemory<LanesScalar, TElement>.Load(logits + i) - LanesScalar.Of(top));
            LanesScalar.Store(power, powers + i);
            sum += powers[i];
        }

        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TLanes Power<TLanes, TElement>(TElement* logits, TLanes shift, float* power)
        where TLanes : unmanaged, ILanes<TLanes>
        where TElement : unmanaged
    {
        var value = TLanes.Exp(LaneMemory<TLanes, TElement>.Load(logits) - shift);
        TLanes.Store(value, power);
        return value;
    }

    private static float At<TElement>(TElement* logits, int index)
        where TElement : unmanaged => LanesScalar.Sum(LaneMemory<LanesScalar, TElement>.Load(logits + index));

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
