namespace CoFrGeNet.Simd;

/// <summary>
/// Runs pieces of work on up to a given number of threads, the caller's among them. Pieces are handed out as threads get free, so a
/// piece must not depend on who runs it; work cut independently of the number of threads then gives the same bits for every number.
/// </summary>
internal static class RowPartition
{
    /// <summary>Runs every piece once and returns when all are done.</summary>
    /// <param name="pieces">Number of pieces.</param>
    /// <param name="threads">Most threads to use, at least 1.</param>
    /// <param name="run">Runs the piece of the given number.</param>
    public static void Run(int pieces, int threads, Action<int> run)
    {
        if (threads <= 1 || pieces <= 1)
        {
            for (int piece = 0; piece < pieces; piece++)
            {
                run(piece);
            }

            return;
        }

        int next = 0;
        Parallel.For(0, Math.Min(threads, pieces), new ParallelOptions { MaxDegreeOfParallelism = threads }, _ =>
        {
            for (int piece = Interlocked.Increment(ref next) - 1; piece < pieces; piece = Interlocked.Increment(ref next) - 1)
            {
                run(piece);
            }
        });
    }
}
