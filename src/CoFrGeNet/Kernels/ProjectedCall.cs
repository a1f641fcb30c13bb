using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

/// <summary>
/// One call of <see cref="ProjectedLadders"/>, cut into pieces; a piece writes only its own part of the result. The loops are compiled with full
/// optimization at once: as ordinary methods they would run slowly until called often enough.
/// </summary>
internal sealed unsafe class ProjectedCall
{
    private readonly long _pieceRows;
    private readonly int _pieceLadders;
    private readonly int _piecesAcross;

    public ProjectedCall(LadderLayout layout, LadderConstants constants, int threads)
    {
        Layout = layout;
        Constants = constants;
        Threads = Math.Max(1, threads);
        (_pieceRows, _pieceLadders) = ProjectedLadders.PieceSize(layout, Threads);
        _piecesAcross = (layout.Ladders + _pieceLadders - 1) / _pieceLadders;
        Pieces = (int)((layout.Rows + _pieceRows - 1) / _pieceRows) * _piecesAcross;
    }

    public LadderLayout Layout { get; }

    public LadderConstants Constants { get; }

    public int Threads { get; }

    public int Pieces { get; }

    public void* A { get; init; }

    /// <summary>f forward, its gradient backward.</summary>
    public void* F { get; init; }

    public void* GradA { get; init; }

    /// <summary>Where the gradient for a lies.</summary>
    public LadderLayout GradLayout { get; init; }

    public LadderTracking? Tracking { get; init; }

    public bool StoresPastCaches { get; set; }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void ForwardPiece<TLanes, TGuard, TElement>(int piece)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
        where TElement : unmanaged
    {
        Rectangle part = Part(piece);
        if (Tracking is not null)
        {
            ForwardTracked<TLanes, TGuard, TElement>(part, Tracking);
            return;
        }

        var core = new LadderCore<TLanes, TGuard>(Constants);
        TLanes* x = stackalloc TLanes[LadderRange.MaxDepth];
        bool isPastCaches = StoresPastCaches && IsAligned<TLanes>((TElement*)F + (part.FirstRow * Layout.Ladders) + part.FirstLadder, Layout.Ladders);
        for (long row = part.FirstRow; row < part.EndRow; row++)
        {
            TElement* a = (TElement*)A + (row * Layout.RowStride);
            TElement* f = (TElement*)F + (row * Layout.Ladders);
            int j = part.FirstLadder;
            for (; j <= part.EndLadder - TLanes.Count; j += TLanes.Count)
            {
                for (int k = 0; k < Layout.Depth; k++)
                {
                    x[k] = core.Denominator(LaneMemory<TLanes, TElement>.Load(a + (k * Layout.LevelStride) + j));
                }

                LaneMemory<TLanes, TElement>.Store(core.Value(x, out _), f + j, isPastCaches);
            }

            if (j < part.EndLadder)
            {
                int lanes = part.EndLadder - j;
                for (int k = 0; k < Layout.Depth; k++)
                {
                    x[k] = core.Denominator(LaneMemory<TLanes, TElement>.LoadPart(a + (k * Layout.LevelStride) + j, lanes));
                }

                LaneMemory<TLanes, TElement>.StorePart(core.Value(x, out _), f + j, lanes);
            }
        }

        Fence();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void BackwardPiece<TLanes, TGuard, TElement>(int piece)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
        where TElement : unmanaged
    {
        Rectangle part = Part(piece);
        var core = new LadderCore<TLanes, TGuard>(Constants);
        TLanes* x = stackalloc TLanes[LadderRange.MaxDepth];
        TLanes* slopes = stackalloc TLanes[LadderRange.MaxDepth];
        TLanes* derivatives = stackalloc TLanes[LadderRange.MaxDepth];
        TLanes* continuants = stackalloc TLanes[LadderRange.MaxDepth + 1];
        bool isPastCaches = StoresPastCaches
            && IsAligned<TLanes>((TElement*)GradA + (part.FirstRow * GradLayout.RowStride) + part.FirstLadder, GradLayout.RowStride)
            && (GradLayout.LevelStride * sizeof(float)) % sizeof(TLanes) == 0;
        for (long row = part.FirstRow; row < part.EndRow; row++)
        {
            TElement* a = (TElement*)A + (row * Layout.RowStride);
            TElement* gradA = (TElement*)GradA + (row * GradLayout.RowStride);
            TElement* gradF = (TElement*)F + (row * Layout.Ladders);
            for (int j = part.FirstLadder; j < part.EndLadder; j += TLanes.Count)
            {
                int lanes = part.EndLadder - j;
                bool isFull = lanes >= TLanes.Count;
                for (int k = 0; k < Layout.Depth; k++)
                {
                    TElement* source = a + (k * Layout.LevelStride) + j;
                    TLanes value = isFull ? LaneMemory<TLanes, TElement>.Load(source) : LaneMemory<TLanes, TElement>.LoadPart(source, lanes);
                    x[k] = core.Denominator(value);
                    if (typeof(TGuard) == typeof(PositiveKind))
                    {
                        slopes[k] = LadderCore<TLanes, TGuard>.DenominatorSlope(value);
                    }
                }

                core.Gradient(x, continuants, derivatives);
                TLanes g = isFull ? LaneMemory<TLanes, TElement>.Load(gradF + j) : LaneMemory<TLanes, TElement>.LoadPart(gradF + j, lanes);
                for (int k = 0; k < Layout.Depth; k++)
                {
                    TElement* destination = gradA + (k * GradLayout.LevelStride) + j;
                    TLanes gradient = derivatives[k] * g;
                    gradient = typeof(TGuard) == typeof(PositiveKind) ? gradient * slopes[k] : gradient;
                    if (isFull)
                    {
                        LaneMemory<TLanes, TElement>.Store(gradient, destination, isPastCaches);
                    }
                    else
                    {
                        LaneMemory<TLanes, TElement>.StorePart(gradient, destination, lanes);
                    }
                }
            }
        }

        Fence();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ForwardTracked<TLanes, TGuard, TElement>(Rectangle part, LadderTracking tracking)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
        where TElement : unmanaged
    {
        var core = new LadderCore<TLanes, TGuard>(Constants);
        var watch = new LadderWatch<TLanes>(tracking, Constants, part.FirstLadder, part.EndLadder - part.FirstLadder);
        TLanes* x = stackalloc TLanes[LadderRange.MaxDepth];
        for (long row = part.FirstRow; row < part.EndRow; row++)
        {
            TElement* a = (TElement*)A + (row * Layout.RowStride);
            TElement* f = (TElement*)F + (row * Layout.Ladders);
            for (int j = part.FirstLadder; j < part.EndLadder; j += TLanes.Count)
            {
                int lanes = Math.Min(TLanes.Count, part.EndLadder - j);
                bool isFull = lanes == TLanes.Count;
                for (int k = 0; k < Layout.Depth; k++)
                {
                    TElement* source = a + (k * Layout.LevelStride) + j;
                    x[k] = core.Denominator(isFull ? LaneMemory<TLanes, TElement>.Load(source) : LaneMemory<TLanes, TElement>.LoadPart(source, lanes));
                }

                TLanes value = core.Value(x, out TLanes last);
                value = watch.See(value, last, 0, j - part.FirstLadder, lanes);
                if (isFull)
                {
                    LaneMemory<TLanes, TElement>.Store(value, f + j, false);
                }
                else
                {
                    LaneMemory<TLanes, TElement>.StorePart(value, f + j, lanes);
                }
            }
        }

        watch.Finish();
    }

    private Rectangle Part(int piece)
    {
        long firstRow = piece / _piecesAcross * _pieceRows;
        int firstLadder = piece % _piecesAcross * _pieceLadders;
        return new Rectangle(
            firstRow, Math.Min(Layout.Rows, firstRow + _pieceRows), firstLadder, Math.Min(Layout.Ladders, firstLadder + _pieceLadders));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsAligned<TLanes>(void* address, long rowStride)
        where TLanes : unmanaged => (nuint)address % (nuint)sizeof(TLanes) == 0 && (rowStride * sizeof(float)) % sizeof(TLanes) == 0;

    // Stores past the caches are seen by other threads only in any order without it.
    private static void Fence()
    {
        if (Sse.IsSupported)
        {
            Sse.StoreFence();
        }
    }

    private readonly record struct Rectangle(long FirstRow, long EndRow, int FirstLadder, int EndLadder);
}
