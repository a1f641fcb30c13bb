namespace CoFrGeNet.Training;

/// <summary>
/// Which of several sources serves each window of a run: a pattern that repeats, in which every source has its share and its places are spread evenly. Both the
/// source of a position and how many windows that source has served before come from the position alone, so nothing is stored and any position can be reached at once.
/// </summary>
public sealed class WindowMix
{
    private const int LongestPattern = 1 << 16;
    private const long MostWholeWeight = 1 << 20;

    private readonly int[] _pattern;
    private readonly int[] _servedBefore;
    private readonly int[] _counts;

    /// <summary>Lays out the pattern.</summary>
    /// <param name="weights">One a source, above 0; only their ratio counts.</param>
    /// <exception cref="UserErrorException">A weight is so small beside the others that its source would never be seen.</exception>
    public WindowMix(IReadOnlyList<double> weights)
    {
        ArgumentNullException.ThrowIfNull(weights);
        ArgumentOutOfRangeException.ThrowIfZero(weights.Count);
        _counts = Counts(weights);
        var length = _counts.Sum();
        _pattern = new int[length];
        _servedBefore = new int[length];
        var served = new int[weights.Count];
        for (var place = 0; place < length; place++)
        {
            // The source that lags most behind its share; of equal ones the first.
            var next = 0;
            for (var source = 1; source < served.Length; source++)
            {
                next = Lag(source, place) > Lag(next, place) ? source : next;
            }

            _pattern[place] = next;
            _servedBefore[place] = served[next]++;
        }

        long Lag(int source, int place) => (((long)place + 1) * _counts[source]) - ((long)served[source] * length);
    }

    /// <summary>The source of a window and the number of windows that this source has served before.</summary>
    /// <param name="position">Number of windows seen before, from 0.</param>
    public (int Source, long Served) At(long position)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        var (round, place) = Math.DivRem(position, _pattern.Length);
        var source = _pattern[place];
        return (source, (round * _counts[source]) + _servedBefore[place]);
    }

    /// <summary>How many windows a source serves before a position.</summary>
    /// <param name="source">The source.</param>
    /// <param name="position">Number of windows seen.</param>
    public long Served(int source, long position)
    {
        var (round, places) = Math.DivRem(position, _pattern.Length);
        return (round * _counts[source]) + _pattern.AsSpan(0, (int)places).Count(source);
    }

    // Whole weights are kept exactly; others to one part in 65,536.
    private static int[] Counts(IReadOnlyList<double> weights)
    {
        if (weights.All(weight => weight >= 1 && weight <= MostWholeWeight && Math.Floor(weight) == weight))
        {
            var divisor = weights.Select(weight => (long)weight).Aggregate(GreatestCommonDivisor);
            if (weights.Sum() / divisor <= LongestPattern)
            {
                return [.. weights.Select(weight => (int)((long)weight / divisor))];
            }
        }

        var sum = weights.Sum();
        var counts = weights.Select(weight => (int)Math.Round(weight / sum * LongestPattern)).ToArray();
        for (var source = 0; source < counts.Length; source++)
        {
            if (counts[source] == 0)
            {
                throw new UserErrorException(
                    $"data.sources[{source}].weight is {weights[source]} of {sum} in all, less than one window in {LongestPattern}; give it more weight or leave the source out");
            }
        }

        return counts;
    }

    private static long GreatestCommonDivisor(long a, long b) => b == 0 ? a : GreatestCommonDivisor(b, a % b);
}
