using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

// Dimensions: N = rows (tokens), p = width, d = depth, L = number of ladders. A tile is R rows of one register of columns.

/// <summary>
/// One call of <see cref="ElementwiseLadders"/>. A piece is some rows. It is worked off in blocks of rows and, within a block, in groups of
/// neighbouring columns, which are copied to small buffers in the first-level cache; there each ladder passes over the rows with its weights in registers.
/// </summary>
internal sealed unsafe class ElementwiseCall : IDisposable
{
    private const int BlockRows = ColumnTiles.Rows;

    // 32 rows x 4 registers of 64 bytes: three such buffers fill most of a first-level cache of 32 KiB.
    private const int GroupRegisters = 4;

    // Enough for every thread of a large machine; each has a sum of its own of every parameter's gradient.
    private const int MostPieces = 64;

    private readonly long _pieceRows;
    private float* _parts;

    public ElementwiseCall(ElementwiseSize size, LadderConstants constants)
    {
        Size = size;
        Constants = constants;
        long blocks = (size.Rows + BlockRows - 1) / BlockRows;
        _pieceRows = Math.Max(1, (blocks + MostPieces - 1) / MostPieces) * BlockRows;
        Pieces = size.Width == 0 ? 0 : (int)((size.Rows + _pieceRows - 1) / _pieceRows);
    }

    public ElementwiseSize Size { get; }

    public LadderConstants Constants { get; }

    public int Pieces { get; }

    public void* G { get; init; }

    public ElementwiseWeights Weights { get; init; }

    /// <summary>y forward, its gradient backward.</summary>
    public float* Y { get; init; }

    public void* GradG { get; init; }

    public LadderTracking? Tracking { get; init; }

    // The gradients of a piece, rows of p: d L for the levels, as many for the biases where there are any, L for V.
    private long PartLength => (long)RowsOfParameters * Size.Width;

    private int RowsOfParameters => RowsBeforeCombine + Size.Ladders;

    private int RowsBeforeCombine => Size.Depth * Size.Ladders * (Weights.Biases == null ? 1 : 2);

    /// <summary>Makes room for the gradients of all pieces, before the first backward piece.</summary>
    public void AllocateParts() => _parts = (float*)NativeMemory.AlignedAlloc((nuint)(Pieces * PartLength * sizeof(float)), 64);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void ForwardPiece<TLanes, TGuard, TElement>(int piece)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
        where TElement : unmanaged
    {
        TLanes* gRoom = stackalloc TLanes[(BlockRows * GroupRegisters) + 1];
        TLanes* g = ColumnTiles.Aligned(gRoom);
        TLanes* yRoom = stackalloc TLanes[(BlockRows * GroupRegisters) + 1];
        TLanes* y = ColumnTiles.Aligned(yRoom);
        TLanes* w = stackalloc TLanes[2 * LadderRange.MaxDepth];
        LadderTracking tracking = Tracking ?? new LadderTracking();
        var watch = new LadderWatch<TLanes>(tracking, Constants, 0, Size.Width, Size.Ladders);
        long end = Math.Min(Size.Rows, (piece + 1) * _pieceRows);
        for (long first = piece * _pieceRows; first < end; first += BlockRows)
        {
            int rows = (int)Math.Min(BlockRows, end - first);
            for (int column = 0; column < Size.Width; column += GroupRegisters * TLanes.Count)
            {
                int columns = Math.Min(Size.Width - column, GroupRegisters * TLanes.Count);
                ColumnTiles.Pack<TLanes, TElement>((TElement*)G + (first * Size.Width) + column, Size.Width, rows, columns, g);
                new Span<TLanes>(y, BlockRows * GroupRegisters).Clear();
                for (int offset = 0, tile = 0; offset < columns; offset += TLanes.Count, tile += BlockRows)
                {
                    TLanes largest = Largest(g + tile, rows);
                    for (int l = 0; l < Size.Ladders; l++)
                    {
                        TLanes v = LoadWeights(l, column + offset, Math.Min(TLanes.Count, columns - offset), w);
                        bool isFast = !tracking.CountsPoles && IsUnbounded<TLanes, TGuard>(w, largest);
                        if (isFast)
                        {
                            ForwardFast<TLanes, TGuard>(w, v, rows, g + tile, y + tile, tracking.RangeUse, watch.Low(l, column + offset), watch.High(l, column + offset));
                        }
                        else
                        {
                            ForwardAny<TLanes, TGuard>(w, v, rows, g + tile, y + tile, ref watch, l, column + offset, Math.Min(TLanes.Count, columns - offset));
                        }
                    }
                }

                ColumnTiles.Unpack(y, Y + (first * Size.Width) + column, Size.Width, rows, columns);
            }
        }

        watch.Finish();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void BackwardPiece<TLanes, TGuard, TElement>(int piece)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
        where TElement : unmanaged
    {
        TLanes* gRoom = stackalloc TLanes[(BlockRows * GroupRegisters) + 1];
        TLanes* g = ColumnTiles.Aligned(gRoom);
        TLanes* gradYRoom = stackalloc TLanes[(BlockRows * GroupRegisters) + 1];
        TLanes* gradY = ColumnTiles.Aligned(gradYRoom);
        TLanes* gradGRoom = stackalloc TLanes[(BlockRows * GroupRegisters) + 1];
        TLanes* gradG = ColumnTiles.Aligned(gradGRoom);
        TLanes* w = stackalloc TLanes[2 * LadderRange.MaxDepth];
        TLanes* sums = stackalloc TLanes[2 * LadderRange.MaxDepth];
        float* part = _parts + (piece * PartLength);
        new Span<float>(part, checked((int)PartLength)).Clear();
        long end = Math.Min(Size.Rows, (piece + 1) * _pieceRows);
        for (long first = piece * _pieceRows; first < end; first += BlockRows)
        {
            int rows = (int)Math.Min(BlockRows, end - first);
            for (int column = 0; column < Size.Width; column += GroupRegisters * TLanes.Count)
            {
                int columns = Math.Min(Size.Width - column, GroupRegisters * TLanes.Count);
                ColumnTiles.Pack<TLanes, TElement>((TElement*)G + (first * Size.Width) + column, Size.Width, rows, columns, g);
                ColumnTiles.Pack<TLanes, float>(Y + (first * Size.Width) + column, Size.Width, rows, columns, gradY);
                new Span<TLanes>(gradG, BlockRows * GroupRegisters).Clear();
                for (int offset = 0, tile = 0; offset < columns; offset += TLanes.Count, tile += BlockRows)
                {
                    TLanes largest = Largest(g + tile, rows);
                    int lanes = Math.Min(TLanes.Count, columns - offset);
                    for (int l = 0; l < Size.Ladders; l++)
                    {
                        TLanes v = LoadWeights(l, column + offset, lanes, w);
                        TLanes sumV = default;
                        new Span<TLanes>(sums, 2 * LadderRange.MaxDepth).Clear();
                        if (IsUnbounded<TLanes, TGuard>(w, largest))
                        {
                            BackwardFast<TLanes, TGuard>(w, v, rows, g + tile, gradY + tile, gradG + tile, sums, ref sumV);
                        }
                        else
                        {
                            BackwardAny<TLanes, TGuard>(w, v, rows, g + tile, gradY + tile, gradG + tile, sums, ref sumV);
                        }

                        AddToPart(part, l, column + offset, lanes, sums, sumV);
                    }
                }

                ColumnTiles.Unpack(gradG, (TElement*)GradG + (first * Size.Width) + column, Size.Width, rows, columns);
            }
        }
    }

    /// <summary>Adds up the gradients of the pieces, in their order.</summary>
    public void SumParts(ElementwiseWeights gradients, int threads)
    {
        int levels = Size.Depth * Size.Ladders;
        RowPartition.Run(RowsOfParameters, Size.Rows * Size.Width < 1 << 16 ? 1 : threads, row =>
        {
            float* sum = row < levels ? gradients.Levels + (row * (long)Size.Width)
                : row < RowsBeforeCombine ? gradients.Biases + ((row - levels) * (long)Size.Width)
                : gradients.Combine + ((row - RowsBeforeCombine) * (long)Size.Width);
            var target = new Span<float>(sum, Size.Width);
            target.Clear();
            for (int piece = 0; piece < Pieces; piece++)
            {
                var part = new ReadOnlySpan<float>(_parts + (piece * PartLength) + (row * (long)Size.Width), Size.Width);
                System.Numerics.Tensors.TensorPrimitives.Add(target, part, target);
            }
        });
    }

    /// <summary>Releases the sums of the pieces.</summary>
    public void Dispose()
    {
        NativeMemory.AlignedFree(_parts);
        _parts = null;
    }

    // The weights of ladder l [d], then its biases [d] (0 where there are none); returns V.
    private TLanes LoadWeights<TLanes>(int l, int column, int lanes, TLanes* w)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        for (int k = 0; k < Size.Depth; k++)
        {
            long offset = (((long)k * Size.Ladders) + l) * Size.Width;
            w[k] = Load(Weights.Levels + offset + column, lanes);
            w[LadderRange.MaxDepth + k] = Weights.Biases == null ? default : Load(Weights.Biases + offset + column, lanes);
        }

        return Load(Weights.Combine + ((long)l * Size.Width) + column, lanes);

        static TLanes Load(float* source, int lanes) =>
            lanes == TLanes.Count ? TLanes.Load(source) : LaneMemory<TLanes, float>.LoadPart(source, lanes);
    }

    private void AddToPart<TLanes>(float* part, int l, int column, int lanes, TLanes* sums, TLanes sumV)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        long levels = (long)Size.Depth * Size.Ladders;
        for (int k = 0; k < Size.Depth; k++)
        {
            long row = ((long)k * Size.Ladders) + l;
            Add(part + (row * Size.Width) + column, sums[k], lanes);
            if (Weights.Biases != null)
            {
                Add(part + ((levels + row) * Size.Width) + column, sums[LadderRange.MaxDepth + k], lanes);
            }
        }

        Add(part + ((long)(RowsBeforeCombine + l) * Size.Width) + column, sumV, lanes);

        static void Add(float* target, TLanes value, int lanes)
        {
            if (lanes == TLanes.Count)
            {
                TLanes.Store(TLanes.Load(target) + value, target);
            }
            else
            {
                LaneMemory<TLanes, float>.StorePart(LaneMemory<TLanes, float>.LoadPart(target, lanes) + value, target, lanes);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static TLanes Largest<TLanes>(TLanes* g, int rows)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes largest = default;
        for (int row = 0; row < rows; row++)
        {
            largest = TLanes.Max(TLanes.Abs(g[row]), largest);
        }

        return largest;
    }

    // A NaN among the weights makes no comparison true, and the careful path is taken.
    private bool IsUnbounded<TLanes, TGuard>(TLanes* w, TLanes largest)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
    {
        if (typeof(TGuard) == typeof(PositiveKind) || Size.Depth > 8 || Weights.Biases != null)
        {
            return false;
        }

        TLanes limit = TLanes.Of(Constants.UnboundedLimit);
        int below = TLanes.Count;
        for (int k = 0; k < Size.Depth; k++)
        {
            below = Math.Min(below, TLanes.CountLess(TLanes.Abs(w[k]) * largest, limit, TLanes.Count));
        }

        return below == TLanes.Count;
    }

    private void ForwardFast<TLanes, TGuard>(TLanes* w, TLanes v, int rows, TLanes* g, TLanes* y, RangeUse use, float* low, float* high)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
    {
        TLanes lowest = use == RangeUse.None ? default : TLanes.Load(low);
        TLanes highest = use == RangeUse.None ? default : TLanes.Load(high);
        switch (Size.Depth)
        {
            case 1: Run<Depth1>(ref lowest, ref highest); break;
            case 2: Run<Depth2>(ref lowest, ref highest); break;
            case 3: Run<Depth3>(ref lowest, ref highest); break;
            case 4: Run<Depth4>(ref lowest, ref highest); break;
            case 5: Run<Depth5>(ref lowest, ref highest); break;
            case 6: Run<Depth6>(ref lowest, ref highest); break;
            case 7: Run<Depth7>(ref lowest, ref highest); break;
            default: Run<Depth8>(ref lowest, ref highest); break;
        }

        if (use == RangeUse.Widen)
        {
            TLanes.Store(lowest, low);
            TLanes.Store(highest, high);
        }

        void Run<TDepth>(ref TLanes lowest, ref TLanes highest)
            where TDepth : struct, IDepth
        {
            switch (use)
            {
                case RangeUse.None: ElementwiseTile<TLanes, TGuard, TDepth>.Forward<NoRange>(Constants, w, v, rows, g, y, ref lowest, ref highest); break;
                case RangeUse.Widen: ElementwiseTile<TLanes, TGuard, TDepth>.Forward<WidenedRange>(Constants, w, v, rows, g, y, ref lowest, ref highest); break;
                default: ElementwiseTile<TLanes, TGuard, TDepth>.Forward<ClippedRange>(Constants, w, v, rows, g, y, ref lowest, ref highest); break;
            }
        }
    }

    private void BackwardFast<TLanes, TGuard>(TLanes* w, TLanes v, int rows, TLanes* g, TLanes* gradY, TLanes* gradG, TLanes* sums, ref TLanes sumV)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
    {
        switch (Size.Depth)
        {
            case 1: ElementwiseTile<TLanes, TGuard, Depth1>.Backward(Constants, w, v, rows, g, gradY, gradG, sums, ref sumV); break;
            case 2: ElementwiseTile<TLanes, TGuard, Depth2>.Backward(Constants, w, v, rows, g, gradY, gradG, sums, ref sumV); break;
            case 3: ElementwiseTile<TLanes, TGuard, Depth3>.Backward(Constants, w, v, rows, g, gradY, gradG, sums, ref sumV); break;
            case 4: ElementwiseTile<TLanes, TGuard, Depth4>.Backward(Constants, w, v, rows, g, gradY, gradG, sums, ref sumV); break;
            case 5: ElementwiseTile<TLanes, TGuard, Depth5>.Backward(Constants, w, v, rows, g, gradY, gradG, sums, ref sumV); break;
            case 6: ElementwiseTile<TLanes, TGuard, Depth6>.Backward(Constants, w, v, rows, g, gradY, gradG, sums, ref sumV); break;
            case 7: ElementwiseTile<TLanes, TGuard, Depth7>.Backward(Constants, w, v, rows, g, gradY, gradG, sums, ref sumV); break;
            default: ElementwiseTile<TLanes, TGuard, Depth8>.Backward(Constants, w, v, rows, g, gradY, gradG, sums, ref sumV); break;
        }
    }

    // Any depth, guard and size of input, with biases and statistics.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ForwardAny<TLanes, TGuard>(
        TLanes* w, TLanes v, int rows, TLanes* g, TLanes* y, ref LadderWatch<TLanes> watch, int l, int column, int lanes)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
    {
        var core = new LadderCore<TLanes, TGuard>(Constants);
        TLanes* x = stackalloc TLanes[LadderRange.MaxDepth];
        for (int row = 0; row < rows; row++)
        {
            for (int k = 0; k < Size.Depth; k++)
            {
                x[k] = core.Denominator((w[k] * g[row]) + w[LadderRange.MaxDepth + k]);
            }

            TLanes f = core.Value(x, out TLanes last);
            y[row] = TLanes.MultiplyAdd(v, watch.See(f, last, l, column, lanes), y[row]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void BackwardAny<TLanes, TGuard>(TLanes* w, TLanes v, int rows, TLanes* g, TLanes* gradY, TLanes* gradG, TLanes* sums, ref TLanes sumV)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
    {
        var core = new LadderCore<TLanes, TGuard>(Constants);
        TLanes* x = stackalloc TLanes[LadderRange.MaxDepth];
        TLanes* slopes = stackalloc TLanes[LadderRange.MaxDepth];
        TLanes* derivatives = stackalloc TLanes[LadderRange.MaxDepth];
        TLanes* continuants = stackalloc TLanes[LadderRange.MaxDepth + 1];
        for (int row = 0; row < rows; row++)
        {
            for (int k = 0; k < Size.Depth; k++)
            {
                TLanes a = (w[k] * g[row]) + w[LadderRange.MaxDepth + k];
                x[k] = core.Denominator(a);
                slopes[k] = LadderCore<TLanes, TGuard>.DenominatorSlope(a);
            }

            TLanes f = core.Gradient(x, continuants, derivatives);
            TLanes upstream = gradY[row] * v;
            sumV = TLanes.MultiplyAdd(gradY[row], f, sumV);
            TLanes sumG = gradG[row];
            for (int k = 0; k < Size.Depth; k++)
            {
                TLanes gradient = derivatives[k] * slopes[k] * upstream;
                sums[k] = TLanes.MultiplyAdd(gradient, g[row], sums[k]);
                sums[LadderRange.MaxDepth + k] += gradient;
                sumG = TLanes.MultiplyAdd(gradient, w[k], sumG);
            }

            gradG[row] = sumG;
        }
    }
}
