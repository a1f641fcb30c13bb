using System.Runtime.CompilerServices;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

// Dimensions: d = depth. Level j is counted from the innermost here: K_j = x_j K_{j-1} + K_{j-2}; its distance from the outermost is k - 1 = d - j.

/// <summary>
/// One register of ladders on given partial denominators, with everything in registers: depths 1 to 8, clamp and smooth guard, the bits of
/// <see cref="LadderCore{TLanes, TGuard}"/>. Written out level by level because only locals stay in registers; conditions on the type parameters are
/// decided when compiled. It is inlined into a loop that holds the constants.
/// </summary>
internal static unsafe class ProjectedTile<TLanes, TGuard, TDepth, TElement>
    where TLanes : unmanaged, ILanes<TLanes>
    where TGuard : struct, IGuardKind
    where TDepth : struct, IDepth
    where TElement : unmanaged
{
    /// <summary>Whether these type parameters are among those written out; d = 0 stands for any.</summary>
    public static bool Exists
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TDepth.Value is >= 1 and <= 8 && typeof(TGuard) != typeof(PositiveKind);
    }

    private static bool IsSmooth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => typeof(TGuard) == typeof(SmoothKind);
    }

    /// <summary>f of the partial denominators at a, a + stride, .. (outermost first); <paramref name="last"/> is K_d before the guard.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Value(TElement* a, long stride, TLanes bound, TLanes start, TLanes epsilon, TLanes epsilonSquare, out TLanes last)
    {
        TElement* x = a + ((TDepth.Value - 1) * stride);
        TLanes k0 = start;
        TLanes k1 = TLanes.MultiplyAdd(Bounded(x, bound), start, TLanes.Of(0));
        TLanes k2 = TDepth.Value >= 2 ? TLanes.MultiplyAdd(Bounded(x - stride, bound), k1, k0) : default;
        TLanes k3 = TDepth.Value >= 3 ? TLanes.MultiplyAdd(Bounded(x - (2 * stride), bound), k2, k1) : default;
        TLanes k4 = TDepth.Value >= 4 ? TLanes.MultiplyAdd(Bounded(x - (3 * stride), bound), k3, k2) : default;
        TLanes k5 = TDepth.Value >= 5 ? TLanes.MultiplyAdd(Bounded(x - (4 * stride), bound), k4, k3) : default;
        TLanes k6 = TDepth.Value >= 6 ? TLanes.MultiplyAdd(Bounded(x - (5 * stride), bound), k5, k4) : default;
        TLanes k7 = TDepth.Value >= 7 ? TLanes.MultiplyAdd(Bounded(x - (6 * stride), bound), k6, k5) : default;
        TLanes k8 = TDepth.Value >= 8 ? TLanes.MultiplyAdd(Bounded(x - (7 * stride), bound), k7, k6) : default;
        last = Pick(k1, k2, k3, k4, k5, k6, k7, k8);
        TLanes beforeLast = TDepth.Value == 1 ? k0 : PickBefore(k1, k2, k3, k4, k5, k6, k7);
        return IsSmooth
            ? beforeLast * (last / TLanes.MultiplyAdd(last, last, epsilonSquare))
            : beforeLast * (TLanes.Of(1) / TLanes.WithSign(TLanes.Max(epsilon, TLanes.Abs(last)), last));
    }

    /// <summary>Writes the gradient for each partial denominator, given that for f.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Gradient(
        TElement* a, long stride, TLanes bound, TLanes start, TLanes epsilon, TLanes epsilonSquare, TLanes maxGradient, int saturatedLevels,
        TLanes upstream, TElement* gradA, long gradStride, bool isPastCaches)
    {
        TElement* x = a + ((TDepth.Value - 1) * stride);
        TLanes x1 = Bounded(x, bound);
        TLanes k0 = start, k1 = TLanes.MultiplyAdd(x1, start, TLanes.Of(0));
        TLanes x2 = TDepth.Value >= 2 ? Bounded(x - stride, bound) : default;
        TLanes k2 = TDepth.Value >= 2 ? TLanes.MultiplyAdd(x2, k1, k0) : default;
        TLanes x3 = TDepth.Value >= 3 ? Bounded(x - (2 * stride), bound) : default;
        TLanes k3 = TDepth.Value >= 3 ? TLanes.MultiplyAdd(x3, k2, k1) : default;
        TLanes x4 = TDepth.Value >= 4 ? Bounded(x - (3 * stride), bound) : default;
        TLanes k4 = TDepth.Value >= 4 ? TLanes.MultiplyAdd(x4, k3, k2) : default;
        TLanes x5 = TDepth.Value >= 5 ? Bounded(x - (4 * stride), bound) : default;
        TLanes k5 = TDepth.Value >= 5 ? TLanes.MultiplyAdd(x5, k4, k3) : default;
        TLanes x6 = TDepth.Value >= 6 ? Bounded(x - (5 * stride), bound) : default;
        TLanes k6 = TDepth.Value >= 6 ? TLanes.MultiplyAdd(x6, k5, k4) : default;
        TLanes x7 = TDepth.Value >= 7 ? Bounded(x - (6 * stride), bound) : default;
        TLanes k7 = TDepth.Value >= 7 ? TLanes.MultiplyAdd(x7, k6, k5) : default;
        TLanes k8 = TDepth.Value >= 8 ? TLanes.MultiplyAdd(Bounded(x - (7 * stride), bound), k7, k6) : default;
        TLanes last = Pick(k1, k2, k3, k4, k5, k6, k7, k8);
        TLanes reciprocal, q = default, previous = default, current = default;
        if (IsSmooth)
        {
            TLanes w = TLanes.Of(1) / TLanes.MultiplyAdd(last, last, epsilonSquare);
            reciprocal = last * w;
            TLanes v = epsilon * w;
            q = (reciprocal - v) * (reciprocal + v);

            // y of LadderCore, taken up by the outermost level.
            current = TLanes.Of(2) * (epsilon * v) * reciprocal;
        }
        else
        {
            reciprocal = TLanes.Of(1) / TLanes.WithSign(TLanes.Max(epsilon, TLanes.Abs(last)), last);
        }

        if (TDepth.Value >= 8)
        {
            TLanes d8 = Derivative(TDepth.Value - 7, k7, x7, reciprocal, q, maxGradient, saturatedLevels, ref previous, ref current);
            LaneMemory<TLanes, TElement>.Store(d8 * upstream, gradA + ((TDepth.Value - 8) * gradStride), isPastCaches);
        }

        if (TDepth.Value >= 7)
        {
            TLanes d7 = Derivative(TDepth.Value - 6, k6, x6, reciprocal, q, maxGradient, saturatedLevels, ref previous, ref current);
            LaneMemory<TLanes, TElement>.Store(d7 * upstream, gradA + ((TDepth.Value - 7) * gradStride), isPastCaches);
        }

        if (TDepth.Value >= 6)
        {
            TLanes d6 = Derivative(TDepth.Value - 5, k5, x5, reciprocal, q, maxGradient, saturatedLevels, ref previous, ref current);
            LaneMemory<TLanes, TElement>.Store(d6 * upstream, gradA + ((TDepth.Value - 6) * gradStride), isPastCaches);
        }

        if (TDepth.Value >= 5)
        {
            TLanes d5 = Derivative(TDepth.Value - 4, k4, x4, reciprocal, q, maxGradient, saturatedLevels, ref previous, ref current);
            LaneMemory<TLanes, TElement>.Store(d5 * upstream, gradA + ((TDepth.Value - 5) * gradStride), isPastCaches);
        }

        if (TDepth.Value >= 4)
        {
            TLanes d4 = Derivative(TDepth.Value - 3, k3, x3, reciprocal, q, maxGradient, saturatedLevels, ref previous, ref current);
            LaneMemory<TLanes, TElement>.Store(d4 * upstream, gradA + ((TDepth.Value - 4) * gradStride), isPastCaches);
        }

        if (TDepth.Value >= 3)
        {
            TLanes d3 = Derivative(TDepth.Value - 2, k2, x2, reciprocal, q, maxGradient, saturatedLevels, ref previous, ref current);
            LaneMemory<TLanes, TElement>.Store(d3 * upstream, gradA + ((TDepth.Value - 3) * gradStride), isPastCaches);
        }

        if (TDepth.Value >= 2)
        {
            TLanes d2 = Derivative(TDepth.Value - 1, k1, x1, reciprocal, q, maxGradient, saturatedLevels, ref previous, ref current);
            LaneMemory<TLanes, TElement>.Store(d2 * upstream, gradA + ((TDepth.Value - 2) * gradStride), isPastCaches);
        }

        TLanes d1 = Derivative(TDepth.Value, k0, default, reciprocal, q, maxGradient, saturatedLevels, ref previous, ref current);
        LaneMemory<TLanes, TElement>.Store(d1 * upstream, gradA + ((TDepth.Value - 1) * gradStride), isPastCaches);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TLanes Bounded(TElement* a, TLanes bound) => TLanes.Max(-bound, TLanes.Min(bound, LaneMemory<TLanes, TElement>.Load(a)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TLanes Pick(TLanes k1, TLanes k2, TLanes k3, TLanes k4, TLanes k5, TLanes k6, TLanes k7, TLanes k8) =>
        TDepth.Value == 8 ? k8 : TDepth.Value == 1 ? k1 : PickNext(k2, k3, k4, k5, k6, k7);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TLanes PickNext(TLanes k2, TLanes k3, TLanes k4, TLanes k5, TLanes k6, TLanes k7) =>
        TDepth.Value == 2 ? k2 : TDepth.Value == 3 ? k3 : TDepth.Value == 4 ? k4 : TDepth.Value == 5 ? k5 : TDepth.Value == 6 ? k6 : k7;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TLanes PickBefore(TLanes k1, TLanes k2, TLanes k3, TLanes k4, TLanes k5, TLanes k6, TLanes k7) =>
        TDepth.Value == 2 ? k1 : TDepth.Value == 3 ? k2 : TDepth.Value == 4 ? k3 : TDepth.Value == 5 ? k4 : TDepth.Value == 6 ? k5 : TDepth.Value == 7 ? k6 : k7;

    // df/dx_k with head = K_{d-k} and, of the smooth guard, the recurrence of LadderCore in previous and current; next is x_{k+1}.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TLanes Derivative(
        int k, TLanes head, TLanes next, TLanes reciprocal, TLanes q, TLanes maxGradient, int saturatedLevels, ref TLanes previous, ref TLanes current)
    {
        if (!IsSmooth)
        {
            TLanes ratio = head * reciprocal;
            TLanes square = TLanes.Min(maxGradient, ratio * ratio);
            return (k & 1) != 0 ? -square : square;
        }

        TLanes derivative = head * TLanes.MultiplyAdd(head, (k & 1) != 0 ? -q : q, previous);
        if (k <= saturatedLevels)
        {
            derivative = TLanes.NanToZero(TLanes.Max(-maxGradient, TLanes.Min(maxGradient, derivative)));
        }

        TLanes following = k == 1 ? next * current : TLanes.MultiplyAdd(next, current, previous);
        previous = current;
        current = following;
        return derivative;
    }
}
