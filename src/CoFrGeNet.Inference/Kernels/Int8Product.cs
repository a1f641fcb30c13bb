using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace CoFrGeNet.Inference;

// Dimensions: K = inputs, N = outputs. A tile is 1 or 4 rows by 8 or 4 outputs.

/// <summary>
/// Products of few rows with int8 weights in whole numbers: x is rounded to 16 bits with one step a row, pairs of products are summed up exactly in 32 bits. A third
/// of the work of widening weights to float32; the rounding of x is far below that of the weights. With AVX-512 only.
/// </summary>
internal static unsafe class Int8Product
{
    private const int TileOutputs = EngineKernels.RowTileOutputs;
    private const int MostRows = 4;
    private const int Vector = 32;

    /// <summary>Whether this processor can.</summary>
    public static bool IsSupported => Avx512BW.IsSupported;

    /// <summary>Values of a rounded row.</summary>
    /// <param name="inputs">K.</param>
    public static int Stride(int inputs) => (inputs + Vector - 1) / Vector * Vector;

    /// <summary>Rounds a row.</summary>
    /// <param name="x">The row, [K].</param>
    /// <param name="inputs">K.</param>
    /// <param name="rounded">Receives whole numbers, [<see cref="Stride"/>], zeros behind the last.</param>
    /// <returns>The step: what one counts.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Round(float* x, int inputs, short* rounded)
    {
        var vectors = inputs / Vector512<float>.Count * Vector512<float>.Count;
        var largest = Vector512<float>.Zero;
        for (var k = 0; k < vectors; k += Vector512<float>.Count)
        {
            largest = Vector512.Max(largest, Vector512.Abs(Vector512.Load(x + k)));
        }

        var most = 0f;
        for (var i = 0; i < Vector512<float>.Count; i++)
        {
            most = MathF.Max(most, largest[i]);
        }

        for (var k = vectors; k < inputs; k++)
        {
            most = MathF.Max(most, MathF.Abs(x[k]));
        }

        // So many pairs of products meet in a lane; their sum must stay in 32 bits.
        var pairs = (inputs / Vector) + 2;
        var steps = Math.Min(short.MaxValue, int.MaxValue / (2 * 127 * pairs));
        var factor = most > 0 ? steps / most : 0;
        for (var k = 0; k < vectors; k += Vector512<float>.Count)
        {
            var whole = Avx512F.ConvertToVector512Int32(Vector512.Load(x + k) * Vector512.Create(factor));
            Avx512F.ConvertToVector256Int16WithSaturation(whole).Store(rounded + k);
        }

        for (var k = vectors; k < Stride(inputs); k++)
        {
            rounded[k] = k < inputs ? (short)MathF.Round(x[k] * factor) : (short)0;
        }

        return most / steps;
    }

    /// <summary>Computes some outputs of all rows.</summary>
    /// <param name="call">The product; its rows must have been rounded.</param>
    /// <param name="first">The first output.</param>
    /// <param name="end">The output after the last.</param>
    public static void Run(in ProductCall call, int first, int end)
    {
        var matrix = call.Matrix;
        var scales = (float*)matrix.Scales;
        var sums = stackalloc float[MostRows * TileOutputs];
        var vectors = matrix.Inputs / Vector * Vector;
        var stride = Stride(matrix.Inputs);
        for (var output = first; output < end; output += TileOutputs)
        {
            var w = (sbyte*)matrix.Data + (output * matrix.RowBytes);
            var outputs = Math.Min(TileOutputs, end - output);
            var next = (byte*)(output + TileOutputs < end ? w + (TileOutputs * matrix.RowBytes) : w);
            for (int row = 0, rows; row < call.Rows; row += rows)
            {
                var x = call.Rounded + (row * (nint)stride);
                rows = outputs == TileOutputs && call.Rows - row >= MostRows ? MostRows : 1;
                if (rows == MostRows)
                {
                    FourRows(x, stride, w, next, matrix.RowBytes, vectors, sums);
                    FourRows(x, stride, w + (4 * matrix.RowBytes), next + (4 * matrix.RowBytes), matrix.RowBytes, vectors, sums + 4);
                }
                else
                {
                    OneRow(x, w, next, matrix.RowBytes, outputs, vectors, sums);
                }

                next = (byte*)w;
                for (var i = 0; i < rows; i++)
                {
                    var y = call.Y + ((row + i) * call.YStride) + output;
                    for (var j = 0; j < outputs; j++)
                    {
                        var sum = sums[(i * TileOutputs) + j] + Tail(x + (i * (nint)stride), w + (j * matrix.RowBytes), vectors, matrix.Inputs);
                        var value = (sum * (scales[output + j] * call.Steps[row + i])) + (call.Bias == null ? 0 : call.Bias[output + j]);
                        y[j] = call.Adds ? y[j] + value : value;
                    }
                }
            }
        }
    }

    // The inputs that fill no register.
    private static int Tail(short* x, sbyte* w, int vectors, int inputs)
    {
        var sum = 0;
        for (var k = vectors; k < inputs; k++)
        {
            sum += x[k] * w[k];
        }

        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneRow(short* x, sbyte* w, byte* next, nint rowBytes, int outputs, int vectors, float* sums)
    {
        if (outputs < TileOutputs)
        {
            for (var j = 0; j < outputs; j++)
            {
                var sum = Vector512<int>.Zero;
                for (var k = 0; k < vectors; k += Vector)
                {
                    sum = Add(sum, w + (j * rowBytes) + k, Vector512.Load(x + k));
                }

                sums[j] = Total(sum);
            }

            return;
        }

        sbyte* w1 = w + rowBytes, w2 = w1 + rowBytes, w3 = w2 + rowBytes, w4 = w3 + rowBytes, w5 = w4 + rowBytes, w6 = w5 + rowBytes, w7 = w6 + rowBytes;
        Vector512<int> s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default, s6 = default, s7 = default;
        for (nint k = 0; k < vectors; k += Vector)
        {
            Ahead.Fetch(next, TileOutputs * Vector / Ahead.Line);
            next += TileOutputs * Vector;
            var v = Vector512.Load(x + k);
            s0 = Add(s0, w + k, v);
            s1 = Add(s1, w1 + k, v);
            s2 = Add(s2, w2 + k, v);
            s3 = Add(s3, w3 + k, v);
            s4 = Add(s4, w4 + k, v);
            s5 = Add(s5, w5 + k, v);
            s6 = Add(s6, w6 + k, v);
            s7 = Add(s7, w7 + k, v);
        }

        (sums[0], sums[1], sums[2], sums[3]) = (Total(s0), Total(s1), Total(s2), Total(s3));
        (sums[4], sums[5], sums[6], sums[7]) = (Total(s4), Total(s5), Total(s6), Total(s7));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourRows(short* x, nint stride, sbyte* w, byte* next, nint rowBytes, int vectors, float* sums)
    {
        short* x1 = x + stride, x2 = x1 + stride, x3 = x2 + stride;
        for (var j = 0; j < 4; j++, w += rowBytes)
        {
            Vector512<int> a = default, b = default, c = default, d = default;
            for (nint k = 0; k < vectors; k += Vector)
            {
                Ahead.Fetch(next, 1);
                next += Vector;
                var weights = Avx512BW.ConvertToVector512Int16(Vector256.Load(w + k));
                a += Avx512BW.MultiplyAddAdjacent(weights, Vector512.Load(x + k));
                b += Avx512BW.MultiplyAddAdjacent(weights, Vector512.Load(x1 + k));
                c += Avx512BW.MultiplyAddAdjacent(weights, Vector512.Load(x2 + k));
                d += Avx512BW.MultiplyAddAdjacent(weights, Vector512.Load(x3 + k));
            }

            sums[j] = Total(a);
            sums[j + TileOutputs] = Total(b);
            sums[j + (2 * TileOutputs)] = Total(c);
            sums[j + (3 * TileOutputs)] = Total(d);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Add(Vector512<int> sum, sbyte* weights, Vector512<short> x) =>
        sum + Avx512BW.MultiplyAddAdjacent(Avx512BW.ConvertToVector512Int16(Vector256.Load(weights)), x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Total(Vector512<int> sum) => Vector512.Sum(Vector512.ConvertToSingle(sum));
}
