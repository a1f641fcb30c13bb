namespace CoFrGeNet.Kernels;

/// <summary>Splits independent rows over threads. A row's result must not depend on the split; then neither does anything else.</summary>
public static class RowPartition
{
    /// <summary>Calls <paramref name="body"/> with ranges that together cover 0 .. rows - 1 once.</summary>
    /// <param name="rows">Number of rows; 0 calls nothing.</param>
    /// <param name="threads">Most ranges that run at once; at least 1.</param>
    /// <param name="smallest">Fewest rows worth a thread of their own; at least 1.</param>
    /// <param name="body">Given the first row and the row behind the last.</param>
    public static void For(int rows, int threads, int smallest, Action<int, int> body)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(smallest, 1);
        var parts = Math.Min(threads, (rows + smallest - 1) / smallest);
        if (parts <= 1)
        {
            if (rows > 0)
            {
                body(0, rows);
            }

            return;
        }

        // More ranges than threads, so that a thread that the system held up does not keep the others waiting.
        var ranges = Math.Min(parts * 4, (rows + smallest - 1) / smallest);
        Parallel.For(
            0, ranges, new ParallelOptions { MaxDegreeOfParallelism = parts },
            range => body((int)((long)rows * range / ranges), (int)((long)rows * (range + 1) / ranges)));
    }
}
