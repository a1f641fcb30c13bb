using System.Runtime.CompilerServices;
using CoFrGeNet.Configuration;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Inference;

// Dimensions: M = rows (tokens), K = inputs, N = outputs. A tile is 12 rows by two registers of outputs.

/// <summary>
/// Products of many rows, bound by arithmetic: tiles of the result stay in registers, x and W are copied to panels that a tile reads in order. A weight is widened
/// once for all rows. Each result is summed up from the first input to the last in one lane, whatever the number of rows.
/// </summary>
internal static unsafe class BlockProduct<TLanes>
    where TLanes : unmanaged, ILanes<TLanes>
{
    /// <summary>Rows of a tile.</summary>
    public const int TileRows = EngineKernels.BlockTileRows;

    // A panel of weights of this many inputs stays in the second-level cache, half of it in the first.
    private const int PanelInputs = 384;

    private const int WidenedRows = 4;

    /// <summary>Outputs of a tile.</summary>
    public static int TileOutputs => 2 * TLanes.Count;

    /// <summary>Float32 values of working memory that a thread needs.</summary>
    public static int PanelFloats(int inputs) => (PanelInputs * TileOutputs) + (WidenedRows * inputs) + 64;

    /// <summary>Copies the rows of a tile to its panel, one input of all rows behind the other.</summary>
    /// <param name="call">The product.</param>
    /// <param name="tile">Number of the tile.</param>
    /// <param name="packed">All panels.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pack(in ProductCall call, int tile, float* packed)
    {
        var inputs = call.Matrix.Inputs;
        var panel = packed + ((long)tile * TileRows * inputs);
        for (var i = 0; i < TileRows; i++)
        {
            var row = (tile * TileRows) + i;
            if (row >= call.Rows)
            {
                for (var k = 0; k < inputs; k++)
                {
                    panel[(k * TileRows) + i] = 0;
                }

                continue;
            }

            var x = call.X + (row * call.XStride);
            for (var k = 0; k < inputs; k++)
            {
                panel[(k * TileRows) + i] = x[k];
            }
        }
    }

    /// <summary>Computes the outputs of one tile for all rows.</summary>
    /// <param name="call">The product.</param>
    /// <param name="packed">All panels of x.</param>
    /// <param name="tile">Number of the tile of outputs.</param>
    /// <param name="room"><see cref="PanelFloats"/> values of working memory.</param>
    public static void Run(in ProductCall call, float* packed, int tile, float* room)
    {
        var matrix = call.Matrix;
        var output = tile * TileOutputs;
        var outputs = Math.Min(TileOutputs, matrix.Outputs - output);
        var panel = room;
        var widened = room + (PanelInputs * TileOutputs);
        var tiles = (call.Rows + TileRows - 1) / TileRows;
        for (var first = 0; first < matrix.Inputs; first += PanelInputs)
        {
            var inputs = Math.Min(PanelInputs, matrix.Inputs - first);
            PackWeights(matrix, output, outputs, first, inputs, panel, widened);
            for (var t = 0; t < tiles; t++)
            {
                var x = packed + ((((long)t * matrix.Inputs) + first) * TileRows);
                var rows = Math.Min(TileRows, call.Rows - (t * TileRows));
                Tile(call, x, panel, inputs, t * TileRows, rows, output, outputs, first == 0);
            }
        }
    }

    private static void Tile(in ProductCall call, float* x, float* panel, int inputs, int row, int rows, int output, int outputs, bool isFirst)
    {
        var buffer = stackalloc float[TileRows * TileOutputs];
        var y = call.Y + (row * call.YStride) + output;
        var isWhole = rows == TileRows && outputs == TileOutputs;
        var target = isWhole ? y : buffer;
        var stride = isWhole ? call.YStride : TileOutputs;
        if (!isWhole)
        {
            new Span<float>(buffer, TileRows * TileOutputs).Clear();
        }

        if (isFirst)
        {
            Begin(call, y, rows, output, outputs, target, stride);
        }
        else if (!isWhole)
        {
            Copy(y, call.YStride, buffer, TileOutputs, rows, outputs);
        }

        if (TLanes.Count == 16)
        {
            Twelve(x, panel, inputs, target, stride);
        }
        else
        {
            Six(x, panel, inputs, target, stride);
            Six(x + 6, panel, inputs, target + (6 * stride), stride);
        }

        if (!isWhole)
        {
            Copy(buffer, TileOutputs, y, call.YStride, rows, outputs);
        }
    }

    // What the sums start from: the bias, and what y holds where the product is added.
    private static void Begin(in ProductCall call, float* y, int rows, int output, int outputs, float* target, nint stride)
    {
        for (var i = 0; i < rows; i++)
        {
            for (var j = 0; j < outputs; j++)
            {
                var value = call.Bias == null ? 0 : call.Bias[output + j];
                target[(i * stride) + j] = call.Adds ? y[(i * call.YStride) + j] + value : value;
            }
        }
    }

    private static void Copy(float* source, nint sourceStride, float* target, nint targetStride, int rows, int columns)
    {
        for (var i = 0; i < rows; i++)
        {
            new ReadOnlySpan<float>(source + (i * sourceStride), columns).CopyTo(new Span<float>(target + (i * targetStride), columns));
        }
    }

    // panel [k, j] = W [output + j, first + k].
    private static void PackWeights(Matrix matrix, int output, int outputs, int first, int inputs, float* panel, float* widened)
    {
        for (var j = 0; j < TileOutputs; j += WidenedRows)
        {
            float* w0 = Row(matrix, output, outputs, j, first, inputs, widened), w1 = Row(matrix, output, outputs, j + 1, first, inputs, widened + matrix.Inputs);
            float* w2 = Row(matrix, output, outputs, j + 2, first, inputs, widened + (2 * matrix.Inputs));
            float* w3 = Row(matrix, output, outputs, j + 3, first, inputs, widened + (3 * matrix.Inputs));
            Interleave(w0, w1, w2, w3, inputs, panel + j);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Interleave(float* w0, float* w1, float* w2, float* w3, int inputs, float* panel)
    {
        for (var k = 0; k < inputs; k++, panel += TileOutputs)
        {
            panel[0] = w0[k];
            panel[1] = w1[k];
            panel[2] = w2[k];
            panel[3] = w3[k];
        }
    }

    // The values of a row from an input on: in place, or widened into a buffer; of a row behind the last one, zeros.
    private static float* Row(Matrix matrix, int output, int outputs, int j, int first, int inputs, float* buffer)
    {
        if (j >= outputs)
        {
            new Span<float>(buffer, inputs).Clear();
            return buffer;
        }

        if (matrix.Type == WeightType.Float32)
        {
            return (float*)(matrix.Data + ((output + j) * matrix.RowBytes)) + first;
        }

        if (matrix.Type == WeightType.Int8)
        {
            WidenBytes((sbyte*)matrix.Data + ((output + j) * matrix.RowBytes) + first, ((float*)matrix.Scales)[output + j], inputs, buffer);
        }
        else
        {
            matrix.Widen(output + j, first, inputs, buffer);
        }

        return buffer;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void WidenBytes(sbyte* source, float scale, int inputs, float* target)
    {
        var k = 0;
        for (var s = TLanes.Of(scale); k <= inputs - TLanes.Count; k += TLanes.Count)
        {
            TLanes.Store(TLanes.LoadBytes(source + k) * s, target + k);
        }

        for (; k < inputs; k++)
        {
            target[k] = source[k] * scale;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Twelve(float* x, float* w, int inputs, float* y, nint stride)
    {
        var n = TLanes.Count;
        float* y3 = y + (3 * stride), y6 = y + (6 * stride), y9 = y + (9 * stride);
        TLanes a0 = TLanes.Load(y), a1 = TLanes.Load(y + n), b0 = TLanes.Load(y + stride), b1 = TLanes.Load(y + stride + n);
        TLanes c0 = TLanes.Load(y + (2 * stride)), c1 = TLanes.Load(y + (2 * stride) + n), d0 = TLanes.Load(y3), d1 = TLanes.Load(y3 + n);
        TLanes e0 = TLanes.Load(y3 + stride), e1 = TLanes.Load(y3 + stride + n), f0 = TLanes.Load(y3 + (2 * stride)), f1 = TLanes.Load(y3 + (2 * stride) + n);
        TLanes g0 = TLanes.Load(y6), g1 = TLanes.Load(y6 + n), h0 = TLanes.Load(y6 + stride), h1 = TLanes.Load(y6 + stride + n);
        TLanes i0 = TLanes.Load(y6 + (2 * stride)), i1 = TLanes.Load(y6 + (2 * stride) + n), j0 = TLanes.Load(y9), j1 = TLanes.Load(y9 + n);
        TLanes k0 = TLanes.Load(y9 + stride), k1 = TLanes.Load(y9 + stride + n), l0 = TLanes.Load(y9 + (2 * stride)), l1 = TLanes.Load(y9 + (2 * stride) + n);
        for (var k = 0; k < inputs; k++, x += TileRows, w += 2 * n)
        {
            TLanes w0 = TLanes.Load(w), w1 = TLanes.Load(w + n);
            Add(x, w0, w1, ref a0, ref a1);
            Add(x + 1, w0, w1, ref b0, ref b1);
            Add(x + 2, w0, w1, ref c0, ref c1);
            Add(x + 3, w0, w1, ref d0, ref d1);
            Add(x + 4, w0, w1, ref e0, ref e1);
            Add(x + 5, w0, w1, ref f0, ref f1);
            Add(x + 6, w0, w1, ref g0, ref g1);
            Add(x + 7, w0, w1, ref h0, ref h1);
            Add(x + 8, w0, w1, ref i0, ref i1);
            Add(x + 9, w0, w1, ref j0, ref j1);
            Add(x + 10, w0, w1, ref k0, ref k1);
            Add(x + 11, w0, w1, ref l0, ref l1);
        }

        Store(a0, a1, b0, b1, c0, c1, y, stride);
        Store(d0, d1, e0, e1, f0, f1, y3, stride);
        Store(g0, g1, h0, h1, i0, i1, y6, stride);
        Store(j0, j1, k0, k1, l0, l1, y9, stride);
    }

    // For processors with 16 registers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Six(float* x, float* w, int inputs, float* y, nint stride)
    {
        var n = TLanes.Count;
        var y3 = y + (3 * stride);
        TLanes a0 = TLanes.Load(y), a1 = TLanes.Load(y + n), b0 = TLanes.Load(y + stride), b1 = TLanes.Load(y + stride + n);
        TLanes c0 = TLanes.Load(y + (2 * stride)), c1 = TLanes.Load(y + (2 * stride) + n), d0 = TLanes.Load(y3), d1 = TLanes.Load(y3 + n);
        TLanes e0 = TLanes.Load(y3 + stride), e1 = TLanes.Load(y3 + stride + n), f0 = TLanes.Load(y3 + (2 * stride)), f1 = TLanes.Load(y3 + (2 * stride) + n);
        for (var k = 0; k < inputs; k++, x += TileRows, w += 2 * n)
        {
            TLanes w0 = TLanes.Load(w), w1 = TLanes.Load(w + n);
            Add(x, w0, w1, ref a0, ref a1);
            Add(x + 1, w0, w1, ref b0, ref b1);
            Add(x + 2, w0, w1, ref c0, ref c1);
            Add(x + 3, w0, w1, ref d0, ref d1);
            Add(x + 4, w0, w1, ref e0, ref e1);
            Add(x + 5, w0, w1, ref f0, ref f1);
        }

        Store(a0, a1, b0, b1, c0, c1, y, stride);
        Store(d0, d1, e0, e1, f0, f1, y3, stride);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(float* x, TLanes w0, TLanes w1, ref TLanes sum0, ref TLanes sum1)
    {
        var value = TLanes.Of(*x);
        sum0 = TLanes.MultiplyAdd(value, w0, sum0);
        sum1 = TLanes.MultiplyAdd(value, w1, sum1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(TLanes a0, TLanes a1, TLanes b0, TLanes b1, TLanes c0, TLanes c1, float* y, nint stride)
    {
        TLanes.Store(a0, y);
        TLanes.Store(a1, y + TLanes.Count);
        TLanes.Store(b0, y + stride);
        TLanes.Store(b1, y + stride + TLanes.Count);
        TLanes.Store(c0, y + (2 * stride));
        TLanes.Store(c1, y + (2 * stride) + TLanes.Count);
    }
}
