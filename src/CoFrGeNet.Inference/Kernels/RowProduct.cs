using System.Runtime.CompilerServices;

namespace CoFrGeNet.Inference;

// Dimensions: M = rows (tokens), K = inputs, N = outputs. A tile is R rows by 8 outputs.

/// <summary>
/// Products of few rows, bound by the reading of weights: each weight is read once for all rows. A piece of outputs is read in eight places at once, each from its
/// first row of weights to its last: long streams, which the processor foresees, where neighbouring rows would be many short ones. One register sums up one product
/// of a row and an output, from the first input to the last, whatever stands beside it, so that a row's result does not depend on other rows or on how outputs are cut.
/// </summary>
/// <typeparam name="TDot">How weights meet x.</typeparam>
/// <typeparam name="TSum">A register that sums up.</typeparam>
/// <typeparam name="TX">A register of x.</typeparam>
internal static unsafe class RowProduct<TDot, TSum, TX>
    where TDot : struct, IRowDot<TSum, TX>
    where TSum : unmanaged
    where TX : unmanaged
{
    private const int Streams = EngineKernels.RowTileOutputs;
    private const int MostRows = 4;

    /// <summary>Computes some outputs of all rows.</summary>
    /// <param name="call">The product; its rows are as the weights' type takes them.</param>
    /// <param name="first">The first output.</param>
    /// <param name="end">The output after the last.</param>
    public static void Run(in ProductCall call, int first, int end)
    {
        var sums = stackalloc float[MostRows * Streams];
        var length = (end - first) / Streams;
        for (var i = 0; i < length; i++)
        {
            Tile(call, first + i, length, Streams, sums);
        }

        // What is left over, as if it were eight times the same.
        for (var output = first + (length * Streams); output < end; output++)
        {
            Tile(call, output, 0, 1, sums);
        }
    }

    private static void Tile(in ProductCall call, int output, int distance, int outputs, float* sums)
    {
        var matrix = call.Matrix;
        var w = matrix.Data + (output * matrix.RowBytes);
        var stride = distance * matrix.RowBytes;
        var steps = matrix.Inputs / TDot.Inputs;
        var groups = (call.Rows / MostRows) + (call.Rows % MostRows / 2) + (call.Rows % 2);
        nint ahead = groups == 1 ? Ahead.Distance : matrix.RowBytes;
        for (int row = 0, rows; row < call.Rows; row += rows, ahead += matrix.RowBytes / groups)
        {
            var x = (byte*)(call.X + (row * call.XStride));
            var xStride = call.XStride * sizeof(float);
            rows = call.Rows - row;
            if (rows >= MostRows)
            {
                rows = MostRows;
                FourRows(x, xStride, w, stride, steps, (ahead, TDot.Bytes / groups), sums);
                FourRows(x, xStride, w + (4 * stride), stride, steps, (ahead, TDot.Bytes / groups), sums + 4);
            }
            else if (rows >= 2)
            {
                rows = 2;
                TwoRows(x, xStride, w, stride, steps, (ahead, TDot.Bytes / groups), sums);
                TwoRows(x, xStride, w + (4 * stride), stride, steps, (ahead, TDot.Bytes / groups), sums + 4);
            }
            else
            {
                OneRow(x, w, stride, steps, (ahead, TDot.Bytes / groups), sums);
            }

            for (var i = 0; i < rows; i++)
            {
                Finish(call, row + i, output, distance, outputs, sums + (i * Streams));
            }
        }
    }

    // The inputs that fill no step, the scales, the bias.
    private static void Finish(in ProductCall call, int row, int output, int distance, int outputs, float* sums)
    {
        var matrix = call.Matrix;
        var inputs = matrix.Inputs;
        var done = inputs / TDot.Inputs * TDot.Inputs;
        var step = call.Steps == null ? 1 : call.Steps[row];
        var scales = (float*)matrix.Scales;
        var y = call.Y + (row * call.YStride);
        for (var j = 0; j < outputs; j++, output += distance)
        {
            var value = sums[j];
            if (done < inputs)
            {
                value += TDot.Rest(matrix.Data + (output * matrix.RowBytes), (byte*)(call.X + (row * call.XStride)), done, inputs);
            }

            value *= scales == null ? step : scales[output] * step;
            value += call.Bias == null ? 0 : call.Bias[output];
            y[output] = call.Adds ? y[output] + value : value;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneRow(byte* x, byte* w, nint stride, int steps, (nint Start, nint Step) ahead, float* sums)
    {
        byte* w1 = w + stride, w2 = w1 + stride, w3 = w2 + stride, w4 = w3 + stride, w5 = w4 + stride, w6 = w5 + stride, w7 = w6 + stride;
        TSum s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default, s6 = default, s7 = default;
        var half = TDot.Inputs / 2 * TDot.ValueBytes;
        var end = (nint)steps * TDot.Bytes;
        var (next, step) = ahead;
        for (nint k = 0; k < end; k += TDot.Bytes, next += step, x += 2 * half)
        {
            TX u = TDot.Load(x), v = TDot.Load(x + half);
            s0 = Add(s0, w, k, next, u, v);
            s1 = Add(s1, w1, k, next, u, v);
            s2 = Add(s2, w2, k, next, u, v);
            s3 = Add(s3, w3, k, next, u, v);
            s4 = Add(s4, w4, k, next, u, v);
            s5 = Add(s5, w5, k, next, u, v);
            s6 = Add(s6, w6, k, next, u, v);
            s7 = Add(s7, w7, k, next, u, v);
        }

        TDot.Sums(s0, s1, s2, s3, sums);
        TDot.Sums(s4, s5, s6, s7, sums + 4);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TwoRows(byte* x, nint xStride, byte* w, nint stride, int steps, (nint Start, nint Step) ahead, float* sums)
    {
        byte* w1 = w + stride, w2 = w1 + stride, w3 = w2 + stride;
        var x1 = x + xStride;
        TSum a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
        var half = TDot.Inputs / 2 * TDot.ValueBytes;
        var end = (nint)steps * TDot.Bytes;
        var (next, step) = ahead;
        for (nint k = 0; k < end; k += TDot.Bytes, next += step, x += 2 * half, x1 += 2 * half)
        {
            TX ua = TDot.Load(x), va = TDot.Load(x + half), ub = TDot.Load(x1), vb = TDot.Load(x1 + half);
            a0 = Add(a0, w, k, next, ua, va);
            b0 = TDot.Add(b0, w + k, ub, vb);
            a1 = Add(a1, w1, k, next, ua, va);
            b1 = TDot.Add(b1, w1 + k, ub, vb);
            a2 = Add(a2, w2, k, next, ua, va);
            b2 = TDot.Add(b2, w2 + k, ub, vb);
            a3 = Add(a3, w3, k, next, ua, va);
            b3 = TDot.Add(b3, w3 + k, ub, vb);
        }

        TDot.Sums(a0, a1, a2, a3, sums);
        TDot.Sums(b0, b1, b2, b3, sums + Streams);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourRows(byte* x, nint xStride, byte* w, nint stride, int steps, (nint Start, nint Step) ahead, float* sums)
    {
        byte* w1 = w + stride, w2 = w1 + stride, w3 = w2 + stride;
        byte* x1 = x + xStride, x2 = x1 + xStride, x3 = x2 + xStride;
        TSum a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
        TSum c0 = default, c1 = default, c2 = default, c3 = default, d0 = default, d1 = default, d2 = default, d3 = default;
        var half = TDot.Inputs / 2 * TDot.ValueBytes;
        var end = (nint)steps * TDot.Bytes;
        var (next, step) = ahead;
        for (nint k = 0, i = 0; k < end; k += TDot.Bytes, next += step, i += 2 * half)
        {
            TX ua = TDot.Load(x + i), va = TDot.Load(x + i + half), ub = TDot.Load(x1 + i), vb = TDot.Load(x1 + i + half);
            TX uc = TDot.Load(x2 + i), vc = TDot.Load(x2 + i + half), ud = TDot.Load(x3 + i), vd = TDot.Load(x3 + i + half);
            a0 = Add(a0, w, k, next, ua, va);
            b0 = TDot.Add(b0, w + k, ub, vb);
            c0 = TDot.Add(c0, w + k, uc, vc);
            d0 = TDot.Add(d0, w + k, ud, vd);
            a1 = Add(a1, w1, k, next, ua, va);
            b1 = TDot.Add(b1, w1 + k, ub, vb);
            c1 = TDot.Add(c1, w1 + k, uc, vc);
            d1 = TDot.Add(d1, w1 + k, ud, vd);
            a2 = Add(a2, w2, k, next, ua, va);
            b2 = TDot.Add(b2, w2 + k, ub, vb);
            c2 = TDot.Add(c2, w2 + k, uc, vc);
            d2 = TDot.Add(d2, w2 + k, ud, vd);
            a3 = Add(a3, w3, k, next, ua, va);
            b3 = TDot.Add(b3, w3 + k, ub, vb);
            c3 = TDot.Add(c3, w3 + k, uc, vc);
            d3 = TDot.Add(d3, w3 + k, ud, vd);
        }

        TDot.Sums(a0, a1, a2, a3, sums);
        TDot.Sums(b0, b1, b2, b3, sums + Streams);
        TDot.Sums(c0, c1, c2, c3, sums + (2 * Streams));
        TDot.Sums(d0, d1, d2, d3, sums + (3 * Streams));
    }

    // For the first of rows that share the weights.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TSum Add(TSum sum, byte* weights, nint k, nint next, TX first, TX second)
    {
        Ahead.Fetch(weights + next, TDot.Bytes);
        return TDot.Add(sum, weights + k, first, second);
    }
}
