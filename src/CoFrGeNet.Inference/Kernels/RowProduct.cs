using System.Runtime.CompilerServices;
using CoFrGeNet.Configuration;
using CoFrGeNet.Simd;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Inference;

// Dimensions: M = rows (tokens), K = inputs, N = outputs. A tile is R rows by 8 outputs.

/// <summary>
/// Products of few rows, bound by the reading of weights: each weight is read once for all rows. One register sums up one product of a row and an output, from the
/// first input to the last, whatever the number of rows, so that a row's result does not depend on those beside it.
/// </summary>
internal static unsafe class RowProduct<TLanes>
    where TLanes : unmanaged, ILanes<TLanes>
{
    /// <summary>Outputs of a tile; pieces of a product are cut between them.</summary>
    public const int TileOutputs = EngineKernels.RowTileOutputs;

    private const int MostRows = 4;

    /// <summary>Computes some outputs of all rows.</summary>
    /// <param name="call">The product.</param>
    /// <param name="first">The first output, a multiple of <see cref="TileOutputs"/>.</param>
    /// <param name="end">The output after the last.</param>
    public static void Run(in ProductCall call, int first, int end)
    {
        switch (call.Matrix.Type)
        {
            case WeightType.Float32: Run<Float32Row>(call, first, end); break;
            case WeightType.BFloat16: Run<BFloat16Row>(call, first, end); break;
            case WeightType.Int8: Run<Int8Row>(call, first, end); break;
            default: RunBlocks(call, first, end); break;
        }
    }

    private static void Run<TWeights>(in ProductCall call, int first, int end)
        where TWeights : struct, IWeightRow
    {
        var matrix = call.Matrix;
        var sums = stackalloc float[MostRows * TileOutputs];
        var vectors = matrix.Inputs / TLanes.Count * TLanes.Count;
        for (var output = first; output < end; output += TileOutputs)
        {
            var w = matrix.Data + (output * matrix.RowBytes);
            var outputs = Math.Min(TileOutputs, end - output);

            // The next tile follows in memory; it is asked for while this one is read for the first rows.
            var next = output + TileOutputs < end ? w + (TileOutputs * matrix.RowBytes) : w;
            for (var row = 0; row < call.Rows;)
            {
                var x = call.X + (row * call.XStride);
                var rows = outputs < TileOutputs ? 1 : Math.Min(MostRows, call.Rows - row);
                switch (rows)
                {
                    case MostRows:
                        FourRows<TWeights>(x, call.XStride, w, next, matrix.RowBytes, vectors, sums);
                        FourRows<TWeights>(x, call.XStride, w + (4 * matrix.RowBytes), next + (4 * matrix.RowBytes), matrix.RowBytes, vectors, sums + 4);
                        break;
                    case >= 2:
                        rows = 2;
                        TwoRows<TWeights>(x, call.XStride, w, next, matrix.RowBytes, vectors, sums);
                        break;
                    default:
                        OneRow<TWeights>(x, w, next, matrix.RowBytes, outputs, vectors, sums);
                        break;
                }

                for (var i = 0; i < rows; i++)
                {
                    Finish<TWeights>(call, row + i, output, outputs, vectors, sums + (i * TileOutputs));
                }

                row += rows;
                next = w;
            }
        }
    }

    // The inputs that fill no register, the scales, the bias.
    private static void Finish<TWeights>(in ProductCall call, int row, int output, int outputs, int vectors, float* sums)
        where TWeights : struct, IWeightRow
    {
        var matrix = call.Matrix;
        var x = call.X + (row * call.XStride);
        var y = call.Y + (row * call.YStride) + output;
        for (var j = 0; j < outputs; j++)
        {
            var sum = sums[j];
            for (var k = vectors; k < matrix.Inputs; k++)
            {
                var w = matrix.Data + ((output + j) * matrix.RowBytes);
                sum += x[k] * (typeof(TWeights) == typeof(Float32Row) ? ((float*)w)[k]
                    : typeof(TWeights) == typeof(BFloat16Row) ? BitConverter.UInt32BitsToSingle((uint)((ushort*)w)[k] << 16)
                    : ((sbyte*)w)[k]);
            }

            Store(call, output + j, sum * (typeof(TWeights) == typeof(Int8Row) ? ((float*)matrix.Scales)[output + j] : 1), y + j);
        }
    }

    // Cache lines that one register of each of some rows takes, at least one.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Lines<TWeights>(int rows)
        where TWeights : struct, IWeightRow => Math.Max(1, rows * TLanes.Count * TWeights.Size / Ahead.Line);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(in ProductCall call, int output, float value, float* y)
    {
        value += call.Bias == null ? 0 : call.Bias[output];
        *y = call.Adds ? *y + value : value;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneRow<TWeights>(float* x, byte* w, byte* next, nint rowBytes, int outputs, int vectors, float* sums)
        where TWeights : struct, IWeightRow
    {
        if (outputs < TileOutputs)
        {
            for (var j = 0; j < outputs; j++)
            {
                TLanes sum = default;
                for (var k = 0; k < vectors; k += TLanes.Count)
                {
                    sum = TLanes.MultiplyAdd(TWeights.Load<TLanes>(w + (j * rowBytes), k), TLanes.Load(x + k), sum);
                }

                sums[j] = TLanes.Sum(sum);
            }

            return;
        }

        byte* w1 = w + rowBytes, w2 = w1 + rowBytes, w3 = w2 + rowBytes, w4 = w3 + rowBytes, w5 = w4 + rowBytes, w6 = w5 + rowBytes, w7 = w6 + rowBytes;
        TLanes s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default, s6 = default, s7 = default;
        for (nint k = 0; k < vectors; k += TLanes.Count)
        {
            Ahead.Fetch(next, Lines<TWeights>(TileOutputs));
            next += TileOutputs * TLanes.Count * TWeights.Size;
            var v = TLanes.Load(x + k);
            s0 = TLanes.MultiplyAdd(TWeights.Load<TLanes>(w, k), v, s0);
            s1 = TLanes.MultiplyAdd(TWeights.Load<TLanes>(w1, k), v, s1);
            s2 = TLanes.MultiplyAdd(TWeights.Load<TLanes>(w2, k), v, s2);
            s3 = TLanes.MultiplyAdd(TWeights.Load<TLanes>(w3, k), v, s3);
            s4 = TLanes.MultiplyAdd(TWeights.Load<TLanes>(w4, k), v, s4);
            s5 = TLanes.MultiplyAdd(TWeights.Load<TLanes>(w5, k), v, s5);
            s6 = TLanes.MultiplyAdd(TWeights.Load<TLanes>(w6, k), v, s6);
            s7 = TLanes.MultiplyAdd(TWeights.Load<TLanes>(w7, k), v, s7);
        }

        (sums[0], sums[1], sums[2], sums[3]) = (TLanes.Sum(s0), TLanes.Sum(s1), TLanes.Sum(s2), TLanes.Sum(s3));
        (sums[4], sums[5], sums[6], sums[7]) = (TLanes.Sum(s4), TLanes.Sum(s5), TLanes.Sum(s6), TLanes.Sum(s7));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TwoRows<TWeights>(float* x, nint xStride, byte* w, byte* next, nint rowBytes, int vectors, float* sums)
        where TWeights : struct, IWeightRow
    {
        for (var half = 0; half < TileOutputs; half += 4, w += 4 * rowBytes)
        {
            byte* w1 = w + rowBytes, w2 = w1 + rowBytes, w3 = w2 + rowBytes;
            var x1 = x + xStride;
            TLanes a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
            for (nint k = 0; k < vectors; k += TLanes.Count)
            {
                Ahead.Fetch(next, Lines<TWeights>(4));
                next += 4 * TLanes.Count * TWeights.Size;
                TLanes v = TLanes.Load(x + k), u = TLanes.Load(x1 + k);
                var weights = TWeights.Load<TLanes>(w, k);
                a0 = TLanes.MultiplyAdd(weights, v, a0);
                b0 = TLanes.MultiplyAdd(weights, u, b0);
                weights = TWeights.Load<TLanes>(w1, k);
                a1 = TLanes.MultiplyAdd(weights, v, a1);
                b1 = TLanes.MultiplyAdd(weights, u, b1);
                weights = TWeights.Load<TLanes>(w2, k);
                a2 = TLanes.MultiplyAdd(weights, v, a2);
                b2 = TLanes.MultiplyAdd(weights, u, b2);
                weights = TWeights.Load<TLanes>(w3, k);
                a3 = TLanes.MultiplyAdd(weights, v, a3);
                b3 = TLanes.MultiplyAdd(weights, u, b3);
            }

            Keep(a0, a1, a2, a3, sums + half);
            Keep(b0, b1, b2, b3, sums + half + TileOutputs);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourRows<TWeights>(float* x, nint xStride, byte* w, byte* next, nint rowBytes, int vectors, float* sums)
        where TWeights : struct, IWeightRow
    {
        float* x1 = x + xStride, x2 = x1 + xStride, x3 = x2 + xStride;
        byte* w1 = w + rowBytes, w2 = w1 + rowBytes, w3 = w2 + rowBytes;
        TLanes a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
        TLanes c0 = default, c1 = default, c2 = default, c3 = default, d0 = default, d1 = default, d2 = default, d3 = default;
        for (nint k = 0; k < vectors; k += TLanes.Count)
        {
            Ahead.Fetch(next, Lines<TWeights>(4));
            next += 4 * TLanes.Count * TWeights.Size;
            TLanes a = TLanes.Load(x + k), b = TLanes.Load(x1 + k), c = TLanes.Load(x2 + k), d = TLanes.Load(x3 + k);
            var weights = TWeights.Load<TLanes>(w, k);
            a0 = TLanes.MultiplyAdd(weights, a, a0);
            b0 = TLanes.MultiplyAdd(weights, b, b0);
            c0 = TLanes.MultiplyAdd(weights, c, c0);
            d0 = TLanes.MultiplyAdd(weights, d, d0);
            weights = TWeights.Load<TLanes>(w1, k);
            a1 = TLanes.MultiplyAdd(weights, a, a1);
            b1 = TLanes.MultiplyAdd(weights, b, b1);
            c1 = TLanes.MultiplyAdd(weights, c, c1);
            d1 = TLanes.MultiplyAdd(weights, d, d1);
            weights = TWeights.Load<TLanes>(w2, k);
            a2 = TLanes.MultiplyAdd(weights, a, a2);
            b2 = TLanes.MultiplyAdd(weights, b, b2);
            c2 = TLanes.MultiplyAdd(weights, c, c2);
            d2 = TLanes.MultiplyAdd(weights, d, d2);
            weights = TWeights.Load<TLanes>(w3, k);
            a3 = TLanes.MultiplyAdd(weights, a, a3);
            b3 = TLanes.MultiplyAdd(weights, b, b3);
            c3 = TLanes.MultiplyAdd(weights, c, c3);
            d3 = TLanes.MultiplyAdd(weights, d, d3);
        }

        Keep(a0, a1, a2, a3, sums);
        Keep(b0, b1, b2, b3, sums + TileOutputs);
        Keep(c0, c1, c2, c3, sums + (2 * TileOutputs));
        Keep(d0, d1, d2, d3, sums + (3 * TileOutputs));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Keep(TLanes s0, TLanes s1, TLanes s2, TLanes s3, float* sums) =>
        (sums[0], sums[1], sums[2], sums[3]) = (TLanes.Sum(s0), TLanes.Sum(s1), TLanes.Sum(s2), TLanes.Sum(s3));

    // int4: each block is summed up without its scale first.
    private static void RunBlocks(in ProductCall call, int first, int end)
    {
        var matrix = call.Matrix;
        for (var output = first; output < end; output++)
        {
            var w = matrix.Data + (output * matrix.RowBytes);
            var scales = (ushort*)(matrix.Scales + (output * matrix.ScaleRowBytes));
            for (var row = 0; row < call.Rows; row++)
            {
                Store(call, output, BlockRow(call.X + (row * call.XStride), w, scales, matrix.Inputs), call.Y + (row * call.YStride) + output);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float BlockRow(float* x, byte* w, ushort* scales, int inputs)
    {
        const int half = QuantizedRows.BlockInputs / 2;
        TLanes sum = default;
        var zero = TLanes.Of(8);
        for (var k = 0; k < inputs; k += 2 * half, w += half, scales++)
        {
            TLanes lower = default, upper = default;
            for (var i = 0; i < half; i += TLanes.Count)
            {
                lower = TLanes.MultiplyAdd(TLanes.LoadLowerHalves(w + i) - zero, TLanes.Load(x + k + i), lower);
                upper = TLanes.MultiplyAdd(TLanes.LoadUpperHalves(w + i) - zero, TLanes.Load(x + k + half + i), upper);
            }

            sum = TLanes.MultiplyAdd(TLanes.Of(BitConverter.UInt32BitsToSingle((uint)*scales << 16)), lower + upper, sum);
        }

        return TLanes.Sum(sum);
    }
}
