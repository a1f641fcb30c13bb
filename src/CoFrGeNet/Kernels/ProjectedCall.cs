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
    public void ForwardPiece<TLanes, TGuard, TDepth, TElement>(int piece)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
        where TDepth : struct, IDepth
        where TElement : unmanaged
    {
        Rectangle part = Part(piece);
        if (Tracking is not null)
        {
            ForwardTracked<TLanes, TGuard, TDepth, TElement>(part, Tracking);
            return;
        }

        (long rowStride, long levelStride, int end) = (Layout.RowStride, Layout.LevelStride, part.EndLadder);
        TLanes bound = TLanes.Of(Constants.Bound), start = TLanes.Of(Constants.Start);
        TLanes epsilon = TLanes.Of(Constants.Epsilon), epsilonSquare = TLanes.Of(Constants.EpsilonSquare);
        bool isPastCaches = StoresPastCaches && IsAligned<TLanes>((TElement*)F + (part.FirstRow * Layout.Ladders) + part.FirstLadder, Layout.Ladders);
        bool isDense = IsDense(part);
        long rows = part.EndRow - part.FirstRow, half = (rows + 1) / 2, shift = half * rowStride, shiftF = half * Layout.Ladders;
        for (long i = 0; i < half; i++)
        {
            // Two places at once: memory answers more requests than one place makes.
            bool isPair = i + half < rows;
            TElement* a = (TElement*)A + ((part.FirstRow + i) * rowStride);
            TElement* f = (TElement*)F + ((part.FirstRow + i) * Layout.Ladders);
            int j = part.FirstLadder;
            if (ProjectedTile<TLanes, TGuard, TDepth, TElement>.Exists)
            {
                for (; j <= end - TLanes.Count; j += TLanes.Count)
                {
                    Prefetch<TLanes, TDepth, TElement>(a + rowStride, j, levelStride, isDense);
                    TLanes value = ProjectedTile<TLanes, TGuard, TDepth, TElement>.Value(a + j, levelStride, bound, start, epsilon, epsilonSquare, out _);
                    LaneMemory<TLanes, TElement>.Store(value, f + j, isPastCaches);
                    if (isPair)
                    {
                        Prefetch<TLanes, TDepth, TElement>(a + shift + rowStride, j, levelStride, isDense);
                        value = ProjectedTile<TLanes, TGuard, TDepth, TElement>.Value(a + shift + j, levelStride, bound, start, epsilon, epsilonSquare, out _);
                        LaneMemory<TLanes, TElement>.Store(value, f + shiftF + j, isPastCaches);
                    }
                }
            }

            for (; j < end; j += TLanes.Count)
            {
                int lanes = Math.Min(TLanes.Count, end - j);
                LaneMemory<TLanes, TElement>.StoreFirst(AnyValue<TLanes, TGuard, TElement>(a + j, lanes, out _), f + j, lanes, false);
                if (isPair)
                {
                    LaneMemory<TLanes, TElement>.StoreFirst(AnyValue<TLanes, TGuard, TElement>(a + shift + j, lanes, out _), f + shiftF + j, lanes, false);
                }
            }
        }

        Fence();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void BackwardPiece<TLanes, TGuard, TDepth, TElement>(int piece)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
        where TDepth : struct, IDepth
        where TElement : unmanaged
    {
        Rectangle part = Part(piece);
        (long rowStride, long levelStride, long gradStride) = (Layout.RowStride, Layout.LevelStride, GradLayout.LevelStride);
        TLanes bound = TLanes.Of(Constants.Bound), start = TLanes.Of(Constants.Start), maxGradient = TLanes.Of(Constants.MaxGradient);
        TLanes epsilon = TLanes.Of(Constants.Epsilon), epsilonSquare = TLanes.Of(Constants.EpsilonSquare);
        int saturatedLevels = Constants.SaturatedLevels;
        bool isPastCaches = StoresPastCaches
            && IsAligned<TLanes>((TElement*)GradA + (part.FirstRow * GradLayout.RowStride) + part.FirstLadder, GradLayout.RowStride)
            && (gradStride * sizeof(float)) % sizeof(TLanes) == 0;
        bool isDense = IsDense(part);
        for (long row = part.FirstRow; row < part.EndRow; row++)
        {
            TElement* a = (TElement*)A + (row * rowStride);
            TElement* gradA = (TElement*)GradA + (row * GradLayout.RowStride);
            TElement* gradF = (TElement*)F + (row * Layout.Ladders);
            int j = part.FirstLadder;
            if (ProjectedTile<TLanes, TGuard, TDepth, TElement>.Exists)
            {
                for (; j <= part.EndLadder - TLanes.Count; j += TLanes.Count)
                {
                    Prefetch<TLanes, TDepth, TElement>(a + rowStride, j, levelStride, isDense);
                    ProjectedTile<TLanes, TGuard, TDepth, TElement>.Gradient(
                        a + j, levelStride, bound, start, epsilon, epsilonSquare, maxGradient, saturatedLevels,
                        LaneMemory<TLanes, TElement>.Load(gradF + j), gradA + j, gradStride, isPastCaches);
                }
            }

            for (; j < part.EndLadder; j += TLanes.Count)
            {
                AnyGradient<TLanes, TGuard, TElement>(a + j, gradF + j, gradA + j, Math.Min(TLanes.Count, part.EndLadder - j), isPastCaches);
            }
        }

        Fence();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ForwardTracked<TLanes, TGuard, TDepth, TElement>(Rectangle part, LadderTracking tracking)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
        where TDepth : struct, IDepth
        where TElement : unmanaged
    {
        var watch = new LadderWatch<TLanes>(tracking, Constants, part.FirstLadder, part.EndLadder - part.FirstLadder);
        TLanes bound = TLanes.Of(Constants.Bound), start = TLanes.Of(Constants.Start);
        TLanes epsilon = TLanes.Of(Constants.Epsilon), epsilonSquare = TLanes.Of(Constants.EpsilonSquare);
        for (long row = part.FirstRow; row < part.EndRow; row++)
        {
            TElement* a = (TElement*)A + (row * Layout.RowStride);
            TElement* f = (TElement*)F + (row * Layout.Ladders);
            for (int j = part.FirstLadder; j < part.EndLadder; j += TLanes.Count)
            {
                int lanes = Math.Min(TLanes.Count, part.EndLadder - j);
                TLanes value = ProjectedTile<TLanes, TGuard, TDepth, TElement>.Exists && lanes == TLanes.Count
                    ? ProjectedTile<TLanes, TGuard, TDepth, TElement>.Value(a + j, Layout.LevelStride, bound, start, epsilon, epsilonSquare, out TLanes last)
                    : AnyValue<TLanes, TGuard, TElement>(a + j, lanes, out last);
                LaneMemory<TLanes, TElement>.StoreFirst(watch.See(value, last, 0, j - part.FirstLadder, lanes), f + j, lanes, false);
            }
        }

        watch.Finish();
    }

    // f of any depth, guard and number of lanes.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private TLanes AnyValue<TLanes, TGuard, TElement>(TElement* a, int lanes, out TLanes last)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
        where TElement : unmanaged
    {
        var core = new LadderCore<TLanes, TGuard>(Constants);
        TLanes* x = stackalloc TLanes[LadderRange.MaxDepth];
        for (int k = 0; k < Layout.Depth; k++)
        {
            x[k] = core.Denominator(LaneMemory<TLanes, TElement>.LoadFirst(a + (k * Layout.LevelStride), lanes));
        }

        return core.Value(x, out last);
    }

    // The gradient for a, the same.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void AnyGradient<TLanes, TGuard, TElement>(TElement* a, TElement* gradF, TElement* gradA, int lanes, bool isPastCaches)
        where TLanes : unmanaged, ILanes<TLanes>
        where TGuard : struct, IGuardKind
        where TElement : unmanaged
    {
        var core = new LadderCore<TLanes, TGuard>(Constants);
        TLanes* x = stackalloc TLanes[LadderRange.MaxDepth];
        TLanes* slopes = stackalloc TLanes[LadderRange.MaxDepth];
        TLanes* derivatives = stackalloc TLanes[LadderRange.MaxDepth];
        TLanes* continuants = stackalloc TLanes[LadderRange.MaxDepth + 1];
        for (int k = 0; k < Layout.Depth; k++)
        {
            TLanes value = LaneMemory<TLanes, TElement>.LoadFirst(a + (k * Layout.LevelStride), lanes);
            x[k] = core.Denominator(value);
            if (typeof(TGuard) == typeof(PositiveKind))
            {
                slopes[k] = LadderCore<TLanes, TGuard>.DenominatorSlope(value);
            }
        }

        core.Gradient(x, continuants, derivatives);
        TLanes upstream = LaneMemory<TLanes, TElement>.LoadFirst(gradF, lanes);
        for (int k = 0; k < Layout.Depth; k++)
        {
            TLanes gradient = derivatives[k] * upstream;
            gradient = typeof(TGuard) == typeof(PositiveKind) ? gradient * slopes[k] : gradient;
            LaneMemory<TLanes, TElement>.StoreFirst(gradient, gradA + (k * GradLayout.LevelStride), lanes, isPastCaches);
        }
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

    // Levels without a gap between them, and rows too.
    private bool IsDense(Rectangle part) =>
        Layout.LevelStride == Layout.Ladders && Layout.RowStride == Layout.Depth * Layout.LevelStride && part.EndLadder - part.FirstLadder == Layout.Ladders;

    // The levels of a row are short streams far apart, whose beginnings the processor does not foresee: the next row is asked for while this one is read. One
    // without gaps is asked for from its beginning to its end, as memory likes it best, into the second level: two rows of two places do not fit into the first.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch<TLanes, TDepth, TElement>(TElement* nextRow, int ladder, long levelStride, bool isDense)
        where TLanes : unmanaged, ILanes<TLanes>
        where TDepth : struct, IDepth
        where TElement : unmanaged
    {
        if (!Sse.IsSupported)
        {
            return;
        }

        // Written out: a loop of a few rounds costs as much as what it asks for.
        TElement* next = nextRow + (isDense ? ladder * TDepth.Value : ladder);
        long step = isDense ? TLanes.Count : levelStride;
        Sse.Prefetch1(next);
        if (TDepth.Value >= 2)
        {
            Sse.Prefetch1(next + step);
        }

        if (TDepth.Value >= 3)
        {
            Sse.Prefetch1(next + (2 * step));
        }

        if (TDepth.Value >= 4)
        {
            Sse.Prefetch1(next + (3 * step));
        }

        if (TDepth.Value >= 5)
        {
            Sse.Prefetch1(next + (4 * step));
        }

        for (int k = 5; k < TDepth.Value; k++)
        {
            Sse.Prefetch1(next + (k * step));
        }
    }

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
