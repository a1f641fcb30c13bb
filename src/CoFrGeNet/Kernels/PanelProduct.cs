using System.Runtime.CompilerServices;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

/// <summary>
/// Small matrix products from the caches, four rows by two registers at a time. The right factor stands in panels two registers wide, one row of a panel
/// behind the other, so that it is read in order.
/// </summary>
internal static unsafe class PanelProduct<TLanes>
    where TLanes : unmanaged, ILanes<TLanes>
{
    /// <summary>Rows that are computed together.</summary>
    public const int Rows = 4;

    /// <summary>Columns of a panel.</summary>
    public static int Width
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => 2 * TLanes.Count;
    }

    /// <summary>c = a b, or c += a b, of four rows and one panel.</summary>
    /// <param name="a">The left factor, [4, n].</param>
    /// <param name="rowStep">From a row of a to the next.</param>
    /// <param name="step">From an element of a row of a to the next.</param>
    /// <param name="b">A panel from its row 0, [n, <see cref="Width"/>].</param>
    /// <param name="count">n.</param>
    /// <param name="c">[4, <see cref="Width"/>].</param>
    /// <param name="cStride">From a row of c to the next.</param>
    /// <param name="adds">Whether c is added to.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void Run(float* a, nint rowStep, nint step, float* b, nint count, float* c, nint cStride, bool adds)
    {
        TLanes c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default, c30 = default, c31 = default;
        float* a1 = a + rowStep, a2 = a1 + rowStep, a3 = a2 + rowStep;
        for (nint k = 0, i = 0; k < count; k++, i += step, b += 2 * TLanes.Count)
        {
            TLanes b0 = TLanes.Load(b), b1 = TLanes.Load(b + TLanes.Count);
            TLanes v = TLanes.Of(a[i]);
            c00 = TLanes.MultiplyAdd(v, b0, c00);
            c01 = TLanes.MultiplyAdd(v, b1, c01);
            v = TLanes.Of(a1[i]);
            c10 = TLanes.MultiplyAdd(v, b0, c10);
            c11 = TLanes.MultiplyAdd(v, b1, c11);
            v = TLanes.Of(a2[i]);
            c20 = TLanes.MultiplyAdd(v, b0, c20);
            c21 = TLanes.MultiplyAdd(v, b1, c21);
            v = TLanes.Of(a3[i]);
            c30 = TLanes.MultiplyAdd(v, b0, c30);
            c31 = TLanes.MultiplyAdd(v, b1, c31);
        }

        Put(c00, c01, c, adds);
        Put(c10, c11, c + cStride, adds);
        Put(c20, c21, c + (2 * cStride), adds);
        Put(c30, c31, c + (3 * cStride), adds);
    }

    /// <summary>Writes rows as panels: row r, column c stands at panel c / <see cref="Width"/>, row r. Columns and rows that are missing become zero.</summary>
    /// <param name="source">Rows of <paramref name="stride"/> elements.</param>
    /// <param name="stride">From a row to the next; at least the columns of all panels, the last ones zero.</param>
    /// <param name="rows">Rows there are.</param>
    /// <param name="columns">Columns of all panels, a multiple of <see cref="Width"/>.</param>
    /// <param name="target">Receives the panels.</param>
    /// <param name="panelRows">Rows of a panel.</param>
    public static void Pack(float* source, int stride, int rows, int columns, float* target, int panelRows)
    {
        for (int first = 0; first < columns; first += Width)
        {
            float* panel = target + ((nint)first * panelRows);
            for (int row = 0; row < rows; row++, panel += Width)
            {
                new ReadOnlySpan<float>(source + ((nint)row * stride) + first, Width).CopyTo(new Span<float>(panel, Width));
            }

            new Span<float>(panel, (panelRows - rows) * Width).Clear();
        }
    }

    /// <summary>Writes rows as the panels of their transpose: row r, column c stands at panel r / <see cref="Width"/>, row c. What is missing becomes zero.</summary>
    /// <param name="source">Rows of <paramref name="stride"/> elements.</param>
    /// <param name="stride">From a row to the next.</param>
    /// <param name="rows">Rows there are.</param>
    /// <param name="columns">Columns, the rows of a panel.</param>
    /// <param name="target">Receives the panels.</param>
    /// <param name="paddedRows">Columns of all panels, a multiple of <see cref="Width"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PackTransposed(float* source, int stride, int rows, int columns, float* target, int paddedRows)
    {
        new Span<float>(target + ((nint)rows / Width * Width * columns), (paddedRows - (rows / Width * Width)) * columns).Clear();
        for (int row = 0; row < rows; row++, source += stride)
        {
            float* column = target + ((nint)(row / Width) * Width * columns) + (row % Width);
            for (int c = 0; c < columns; c++, column += Width)
            {
                *column = source[c];
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(TLanes first, TLanes second, float* c, bool adds)
    {
        TLanes.Store(adds ? first + TLanes.Load(c) : first, c);
        TLanes.Store(adds ? second + TLanes.Load(c + TLanes.Count) : second, c + TLanes.Count);
    }
}
