using System.Runtime.CompilerServices;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

// Dimensions: R = rows of a tile, d = depth. Level j is counted from the innermost here: w_j, x_j = w_j g, K_j = x_j K_{j-1} + K_{j-2}.

/// <summary>
/// Elementwise ladders of one tile, one register wide and R rows high, with everything but the rows in registers: depths 1 to 8, clamp
/// and smooth guard, inputs small enough that nothing needs to be bounded. Written out level by level because only locals stay in registers;
/// conditions on the type parameters are decided when compiled.
/// </summary>
internal static unsafe class ElementwiseTile<TLanes, TGuard, TDepth>
    where TLanes : unmanaged, ILanes<TLanes>
    where TGuard : struct, IGuardKind
    where TDepth : struct, IDepth
{
    private static bool IsSmooth
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => typeof(TGuard) == typeof(SmoothKind);
    }

    /// <summary>y += v f(w g) for R rows.</summary>
    /// <param name="constants">Guard and range.</param>
    /// <param name="w">The weights, outermost level first, [d].</param>
    /// <param name="v">The weight of f in the sum.</param>
    /// <param name="rows">R.</param>
    /// <param name="g">The inputs, [R].</param>
    /// <param name="y">The sums, [R].</param>
    /// <param name="low">Lower end of the range.</param>
    /// <param name="high">Upper end of the range.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Forward<TRange>(
        in LadderConstants constants, TLanes* w, TLanes v, int rows, TLanes* g, TLanes* y, ref TLanes low, ref TLanes high)
        where TRange : struct, IRangeKind
    {
        TLanes w1 = w[TDepth.Value - 1];
        TLanes w2 = TDepth.Value >= 2 ? w[TDepth.Value - 2] : default;
        TLanes w3 = TDepth.Value >= 3 ? w[TDepth.Value - 3] : default;
        TLanes w4 = TDepth.Value >= 4 ? w[TDepth.Value - 4] : default;
        TLanes w5 = TDepth.Value >= 5 ? w[TDepth.Value - 5] : default;
        TLanes w6 = TDepth.Value >= 6 ? w[TDepth.Value - 6] : default;
        TLanes w7 = TDepth.Value >= 7 ? w[TDepth.Value - 7] : default;
        TLanes w8 = TDepth.Value >= 8 ? w[TDepth.Value - 8] : default;
        TLanes start = TLanes.Of(constants.Start);
        TLanes epsilon = TLanes.Of(IsSmooth ? constants.EpsilonSquare : constants.Epsilon);
        TLanes lowest = low;
        TLanes highest = high;
        for (int row = 0; row < rows; row++)
        {
            TLanes x = g[row];
            TLanes last = IsSmooth ? w1 * x * start : TLanes.MultiplyAdd(w1, x, TLanes.Of(0));
            TLanes previous = start;
            if (TDepth.Value >= 2)
            {
                Advance(w2 * x, ref previous, ref last);
            }

            if (TDepth.Value >= 3)
            {
                Advance(w3 * x, ref previous, ref last);
            }

            if (TDepth.Value >= 4)
            {
                Advance(w4 * x, ref previous, ref last);
            }

            if (TDepth.Value >= 5)
            {
                Advance(w5 * x, ref previous, ref last);
            }

            if (TDepth.Value >= 6)
            {
                Advance(w6 * x, ref previous, ref last);
            }

            if (TDepth.Value >= 7)
            {
                Advance(w7 * x, ref previous, ref last);
            }

            if (TDepth.Value >= 8)
            {
                Advance(w8 * x, ref previous, ref last);
            }

            TLanes f = IsSmooth
                ? previous * (last / TLanes.MultiplyAdd(last, last, epsilon))
                : previous * (TLanes.Of(1) / TLanes.WithSign(TLanes.Max(epsilon, TLanes.Abs(last)), last));
            if (typeof(TRange) == typeof(WidenedRange))
            {
                lowest = TLanes.Min(f, lowest);
                highest = TLanes.Max(f, highest);
            }
            else if (typeof(TRange) == typeof(ClippedRange))
            {
                f = TLanes.Max(lowest, TLanes.Min(highest, f));
            }

            y[row] = TLanes.MultiplyAdd(v, f, y[row]);
        }

        low = lowest;
        high = highest;
    }

    /// <summary>Adds the gradients for g, w and v of R rows.</summary>
    /// <param name="constants">Guard and range.</param>
    /// <param name="w">The weights, outermost level first, [d].</param>
    /// <param name="v">The weight of f in the sum.</param>
    /// <param name="rows">R.</param>
    /// <param name="g">The inputs, [R].</param>
    /// <param name="gradY">The gradient for the sums, [R].</param>
    /// <param name="gradG">The gradient for g, [R], added to.</param>
    /// <param name="gradW">The gradient for w, [d], added to.</param>
    /// <param name="gradV">The gradient for v, added to.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Backward(
        in LadderConstants constants, TLanes* w, TLanes v, int rows, TLanes* g, TLanes* gradY, TLanes* gradG, TLanes* gradW, ref TLanes gradV)
    {
        TLanes w1 = w[TDepth.Value - 1];
        TLanes s1 = default;
        TLanes w2 = TDepth.Value >= 2 ? w[TDepth.Value - 2] : default, s2 = default;
        TLanes w3 = TDepth.Value >= 3 ? w[TDepth.Value - 3] : default, s3 = default;
        TLanes w4 = TDepth.Value >= 4 ? w[TDepth.Value - 4] : default, s4 = default;
        TLanes w5 = TDepth.Value >= 5 ? w[TDepth.Value - 5] : default, s5 = default;
        TLanes w6 = TDepth.Value >= 6 ? w[TDepth.Value - 6] : default, s6 = default;
        TLanes w7 = TDepth.Value >= 7 ? w[TDepth.Value - 7] : default, s7 = default;
        TLanes w8 = TDepth.Value >= 8 ? w[TDepth.Value - 8] : default, s8 = default;
        TLanes start = TLanes.Of(constants.Start);
        TLanes epsilon = TLanes.Of(constants.Epsilon);
        TLanes twoEpsilon = epsilon + epsilon;
        TLanes epsilonSquare = TLanes.Of(constants.EpsilonSquare);
        TLanes sumV = default;
        for (int row = 0; row < rows; row++)
        {
            TLanes x = g[row];
            TLanes k0 = start;
            TLanes x1 = w1 * x;
            TLanes k1 = IsSmooth ? x1 * start : TLanes.MultiplyAdd(w1, x, TLanes.Of(0));
            TLanes last = k1;
            TLanes beforeLast = k0;
            TLanes x2 = default, k2 = default;
            if (TDepth.Value >= 2)
            {
                x2 = w2 * x;
                k2 = TLanes.MultiplyAdd(x2, last, beforeLast);
                beforeLast = last;
                last = k2;
            }

            TLanes x3 = default, k3 = default;
            if (TDepth.Value >= 3)
            {
                x3 = w3 * x;
                k3 = TLanes.MultiplyAdd(x3, last, beforeLast);
                beforeLast = last;
                last = k3;
            }

            TLanes x4 = default, k4 = default;
            if (TDepth.Value >= 4)
            {
                x4 = w4 * x;
                k4 = TLanes.MultiplyAdd(x4, last, beforeLast);
                beforeLast = last;
                last = k4;
            }

            TLanes x5 = default, k5 = default;
            if (TDepth.Value >= 5)
            {
                x5 = w5 * x;
                k5 = TLanes.MultiplyAdd(x5, last, beforeLast);
                beforeLast = last;
                last = k5;
            }

            TLanes x6 = default, k6 = default;
            if (TDepth.Value >= 6)
            {
                x6 = w6 * x;
                k6 = TLanes.MultiplyAdd(x6, last, beforeLast);
                beforeLast = last;
                last = k6;
            }

            TLanes x7 = default, k7 = default;
            if (TDepth.Value >= 7)
            {
                x7 = w7 * x;
                k7 = TLanes.MultiplyAdd(x7, last, beforeLast);
                beforeLast = last;
                last = k7;
            }

            TLanes x8 = default, k8 = default;
            if (TDepth.Value >= 8)
            {
                x8 = w8 * x;
                k8 = TLanes.MultiplyAdd(x8, last, beforeLast);
                beforeLast = last;
                last = k8;
            }

            TLanes upstream = gradY[row];
            TLanes reciprocal, q, y0;
            if (IsSmooth)
            {
                TLanes weight = TLanes.Of(1) / TLanes.MultiplyAdd(last, last, epsilonSquare);
                reciprocal = last * weight;
                TLanes narrow = epsilon * weight;
                q = (reciprocal - narrow) * (reciprocal + narrow);
                y0 = twoEpsilon * narrow * reciprocal;
            }
            else
            {
                reciprocal = TLanes.Of(1) / TLanes.WithSign(TLanes.Max(epsilon, TLanes.Abs(last)), last);
                q = y0 = default;
            }

            sumV = TLanes.MultiplyAdd(upstream, beforeLast * reciprocal, sumV);

            // With G = v gradY, level j adds D_j G g to w_j's gradient and D_j G w_j to g's.
            TLanes scaled = upstream * v;
            TLanes perWeight = scaled * x;
            TLanes along = default;
            TLanes previous = default, current = default;
            if (TDepth.Value >= 8)
            {
                TLanes derivative = Derivative(TDepth.Value - 8 + 1, k7, x7, reciprocal, q, y0, ref previous, ref current);
                (s8, along) = Accumulated(TDepth.Value - 8 + 1, derivative, perWeight, s8, w8, along);
            }

            if (TDepth.Value >= 7)
            {
                TLanes derivative = Derivative(TDepth.Value - 7 + 1, k6, x6, reciprocal, q, y0, ref previous, ref current);
                (s7, along) = Accumulated(TDepth.Value - 7 + 1, derivative, perWeight, s7, w7, along);
            }

            if (TDepth.Value >= 6)
            {
                TLanes derivative = Derivative(TDepth.Value - 6 + 1, k5, x5, reciprocal, q, y0, ref previous, ref current);
                (s6, along) = Accumulated(TDepth.Value - 6 + 1, derivative, perWeight, s6, w6, along);
            }

            if (TDepth.Value >= 5)
            {
                TLanes derivative = Derivative(TDepth.Value - 5 + 1, k4, x4, reciprocal, q, y0, ref previous, ref current);
                (s5, along) = Accumulated(TDepth.Value - 5 + 1, derivative, perWeight, s5, w5, along);
            }

            if (TDepth.Value >= 4)
            {
                TLanes derivative = Derivative(TDepth.Value - 4 + 1, k3, x3, reciprocal, q, y0, ref previous, ref current);
                (s4, along) = Accumulated(TDepth.Value - 4 + 1, derivative, perWeight, s4, w4, along);
            }

            if (TDepth.Value >= 3)
            {
                TLanes derivative = Derivative(TDepth.Value - 3 + 1, k2, x2, reciprocal, q, y0, ref previous, ref current);
                (s3, along) = Accumulated(TDepth.Value - 3 + 1, derivative, perWeight, s3, w3, along);
            }

            if (TDepth.Value >= 2)
            {
                TLanes derivative = Derivative(TDepth.Value - 2 + 1, k1, x1, reciprocal, q, y0, ref previous, ref current);
                (s2, along) = Accumulated(TDepth.Value - 2 + 1, derivative, perWeight, s2, w2, along);
            }

            if (TDepth.Value >= 1)
            {
                TLanes derivative = Derivative(TDepth.Value - 1 + 1, k0, default, reciprocal, q, y0, ref previous, ref current);
                (s1, along) = Accumulated(TDepth.Value - 1 + 1, derivative, perWeight, s1, w1, along);
            }

            gradG[row] = TLanes.MultiplyAdd(scaled, along, gradG[row]);
        }

        gradV += sumV;
        gradW[TDepth.Value - 1] += s1;
        if (TDepth.Value >= 2)
        {
            gradW[TDepth.Value - 2] += s2;
        }

        if (TDepth.Value >= 3)
        {
            gradW[TDepth.Value - 3] += s3;
        }

        if (TDepth.Value >= 4)
        {
            gradW[TDepth.Value - 4] += s4;
        }

        if (TDepth.Value >= 5)
        {
            gradW[TDepth.Value - 5] += s5;
        }

        if (TDepth.Value >= 6)
        {
            gradW[TDepth.Value - 6] += s6;
        }

        if (TDepth.Value >= 7)
        {
            gradW[TDepth.Value - 7] += s7;
        }

        if (TDepth.Value >= 8)
        {
            gradW[TDepth.Value - 8] += s8;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Advance(TLanes x, ref TLanes previous, ref TLanes last)
    {
        TLanes next = TLanes.MultiplyAdd(x, last, previous);
        previous = last;
        last = next;
    }

    // |df/dx_k| for odd k of Proposition 1 and for k = 1 of the smooth guard, whose sign Accumulated turns; df/dx_k otherwise.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TLanes Derivative(
        int k, TLanes head, TLanes nextDenominator, TLanes reciprocal, TLanes q, TLanes y0, ref TLanes previous, ref TLanes current)
    {
        if (!IsSmooth)
        {
            TLanes ratio = k == TDepth.Value ? reciprocal : head * reciprocal;
            return ratio * ratio;
        }

        if (k == 1)
        {
            // Y_0 and Y_1 of the recurrence in LadderCore.
            previous = y0;
            current = nextDenominator * y0;
            return head * (head * q);
        }

        TLanes derivative = head * ((k & 1) != 0 ? TLanes.NegatedMultiplyAdd(head, q, previous) : TLanes.MultiplyAdd(head, q, previous));
        TLanes next = TLanes.MultiplyAdd(nextDenominator, current, previous);
        previous = current;
        current = next;
        return derivative;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (TLanes Weight, TLanes Along) Accumulated(int k, TLanes derivative, TLanes perWeight, TLanes weight, TLanes w, TLanes along) =>
        (IsSmooth ? k == 1 : (k & 1) != 0)
            ? (TLanes.NegatedMultiplyAdd(derivative, perWeight, weight), TLanes.NegatedMultiplyAdd(derivative, w, along))
            : (TLanes.MultiplyAdd(derivative, perWeight, weight), TLanes.MultiplyAdd(derivative, w, along));
}
