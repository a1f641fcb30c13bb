namespace CoFrGeNet.Simd;

/// <summary>
/// Runs pieces of work on up to a given number of threads, the caller's among them. Pieces are handed out as threads get free, so a
/// piece must not depend on who runs it; work cut independently of the number of threads then gives the same bits for every number.
/// </summary>
internal static class RowPartition
{
    /// <summary>
    /// Runs an action on several threads at once and returns when all have ended: number of threads, action. By default threads of the
    /// runtime's pool; who has threads of his own that would otherwise wait spinning puts them here.
    /// </summary>
    public static Action<int, Action> Team { get; set; } = RunOnPool;

    /// <summary>Runs every piece once and returns when all are done.</summary>
    /// <param name="pieces">Number of pieces.</param>
    /// <param name="threads">Most threads to use, at least 1.</param>
    /// <param name="run">Runs the piece of the given number.</param>
    /// <exception cref="AggregateException">Pieces have thrown.</exception>
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
        Team(Math.Min(threads, pieces), () =>
        {
            for (int piece = Interlocked.Increment(ref next) - 1; piece < pieces; piece = Interlocked.Increment(ref next) - 1)
            {
                run(piece);
            }
        });
    }

    /// <summary>Runs an action on threads of the runtime's pool and the caller's.</summary>
    public static void RunOnPool(int threads, Action action) =>
        Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, _ => action());
}
