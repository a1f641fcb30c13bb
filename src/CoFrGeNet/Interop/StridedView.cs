using System.Runtime.InteropServices;

namespace CoFrGeNet.Interop;

/// <summary>
/// Elements of a tensor in another order: element (i_1, .., i_n) of the view, counted row-major over <paramref name="Extents"/>, is element
/// Offset + sum of i_k Strides_k of the tensor.
/// </summary>
/// <param name="Offset">The first element.</param>
/// <param name="Extents">The extents of the view, outermost first.</param>
/// <param name="Strides">Elements of the tensor between neighbours along each axis of the view.</param>
internal sealed record StridedView(long Offset, long[] Extents, long[] Strides)
{
    /// <summary>The number of elements.</summary>
    public long Count => Extents.Aggregate(1L, (product, extent) => checked(product * extent));

    /// <summary>The transpose of a matrix.</summary>
    /// <param name="rows">Rows of the matrix.</param>
    /// <param name="columns">Columns of the matrix.</param>
    public static StridedView Transpose(long rows, long columns) => new(0, [columns, rows], [1, columns]);

    /// <summary>One column of a matrix.</summary>
    /// <param name="rows">Rows of the matrix.</param>
    /// <param name="columns">Columns of the matrix.</param>
    /// <param name="column">Which, from 0.</param>
    public static StridedView Column(long rows, long columns, long column) => new(column, [rows], [columns]);

    /// <summary>
    /// Rows of each head from the order of pairs (0, 1), (2, 3), .. that turn together to the order of halves, in which i and i + s / 2 do.
    /// </summary>
    /// <param name="heads">Number of heads.</param>
    /// <param name="headSize">Rows s of a head.</param>
    /// <param name="columns">Columns of the matrix.</param>
    public static StridedView PairsToHalves(long heads, long headSize, long columns) =>
        new(0, [heads, 2, headSize / 2, columns], [headSize * columns, columns, 2 * columns, 1]);

    /// <summary>The view that undoes this one; for views that show every element once.</summary>
    /// <param name="offset">Where the elements of this view begin in the tensor that it fills.</param>
    /// <exception cref="InvalidOperationException">The view leaves elements out.</exception>
    public StridedView Invert(long offset)
    {
        var axes = Enumerable.Range(0, Extents.Length).OrderByDescending(axis => Strides[axis]).ThenByDescending(axis => Extents[axis]).ToArray();
        var own = RowMajor(Extents);
        long[] extents = [.. axes.Select(axis => Extents[axis])], strides = [.. axes.Select(axis => Strides[axis])];
        return Offset == 0 && strides.SequenceEqual(RowMajor(extents))
            ? new StridedView(offset, extents, [.. axes.Select(axis => own[axis])])
            : throw new InvalidOperationException("a view that leaves elements out has no inverse");
    }

    /// <summary>Copies the view's elements.</summary>
    /// <param name="source">The whole tensor.</param>
    /// <param name="size">Bytes of an element.</param>
    /// <param name="destination">Receives the elements in the view's order.</param>
    public void Gather(ReadOnlySpan<byte> source, int size, Span<byte> destination)
    {
        var inner = Extents.Length == 0 ? 1 : Extents[^1];
        var step = Extents.Length == 0 ? 1 : Strides[^1];
        if (inner == 0 || destination.IsEmpty)
        {
            return;
        }

        var index = new long[Math.Max(Extents.Length - 1, 0)];
        for (var done = 0; done < destination.Length; done += (int)inner * size)
        {
            var first = Offset;
            for (var axis = 0; axis < index.Length; axis++)
            {
                first += index[axis] * Strides[axis];
            }

            CopyRun(source[(int)(first * size)..], step, size, destination.Slice(done, (int)inner * size));
            for (var axis = index.Length - 1; axis >= 0 && ++index[axis] == Extents[axis]; axis--)
            {
                index[axis] = 0;
            }
        }
    }

    private static void CopyRun(ReadOnlySpan<byte> source, long step, int size, Span<byte> destination)
    {
        if (step == 1)
        {
            source[..destination.Length].CopyTo(destination);
            return;
        }

        switch (size)
        {
            case 2:
                CopyElements(MemoryMarshal.Cast<byte, ushort>(source), step, MemoryMarshal.Cast<byte, ushort>(destination));
                break;
            case 4:
                CopyElements(MemoryMarshal.Cast<byte, uint>(source), step, MemoryMarshal.Cast<byte, uint>(destination));
                break;
            case 8:
                CopyElements(MemoryMarshal.Cast<byte, ulong>(source), step, MemoryMarshal.Cast<byte, ulong>(destination));
                break;
            default:
                CopyElements(source, step, destination);
                break;
        }
    }

    private static void CopyElements<T>(ReadOnlySpan<T> source, long step, Span<T> destination)
    {
        for (var i = 0; i < destination.Length; i++)
        {
            destination[i] = source[(int)(i * step)];
        }
    }

    private static long[] RowMajor(long[] extents)
    {
        var strides = new long[extents.Length];
        long step = 1;
        for (var axis = extents.Length - 1; axis >= 0; axis--)
        {
            strides[axis] = step;
            step *= extents[axis];
        }

        return strides;
    }
}
