using System.Runtime.CompilerServices;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

/// <summary>
/// Small buffers for a block of rows: one register of neighbouring columns behind the other, each <see cref="Rows"/> high, so that a kernel that passes
/// over the rows of a register reads memory in order.
/// </summary>
internal static unsafe class ColumnTiles
{
    /// <summary>Rows from one register of columns to the next.</summary>
    public const int Rows = 32;

    /// <summary>
    /// The first aligned register in a buffer that has one to spare. The stack is aligned to 16 bytes only; a register that straddles two cache lines costs
    /// twice, and waits when it is read back.
    /// </summary>
    public static TLanes* Aligned<TLanes>(TLanes* room)
        where TLanes : unmanaged, ILanes<TLanes> => (TLanes*)(((nuint)room + (nuint)sizeof(TLanes) - 1) & ~((nuint)sizeof(TLanes) - 1));

    /// <summary>Copies some rows of <paramref name="columns"/> values, <paramref name="stride"/> apart, into tiles; what a last, partial register lacks is zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pack<TLanes, TElement>(TElement* source, int stride, int rows, int columns, TLanes* target)
        where TLanes : unmanaged, ILanes<TLanes>
        where TElement : unmanaged
    {
        for (int row = 0; row < rows; row++, source += stride)
        {
            int tile = 0;
            int column = 0;
            for (; column <= columns - TLanes.Count; column += TLanes.Count, tile += Rows)
            {
                target[tile + row] = LaneMemory<TLanes, TElement>.Load(source + column);
            }

            if (column < columns)
            {
                target[tile + row] = LaneMemory<TLanes, TElement>.LoadPart(source + column, columns - column);
            }
        }
    }

    /// <summary>Copies tiles back to rows of <paramref name="columns"/> values, <paramref name="stride"/> apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Unpack<TLanes, TElement>(TLanes* source, TElement* target, int stride, int rows, int columns)
        where TLanes : unmanaged, ILanes<TLanes>
        where TElement : unmanaged
    {
        for (int row = 0; row < rows; row++, target += stride)
        {
            int tile = 0;
            int column = 0;
            for (; column <= columns - TLanes.Count; column += TLanes.Count, tile += Rows)
            {
                LaneMemory<TLanes, TElement>.Store(source[tile + row], target + column, false);
            }

            if (column < columns)
            {
                LaneMemory<TLanes, TElement>.StorePart(source[tile + row], target + column, columns - column);
            }
        }
    }
}
