namespace CoFrGeNet.Evaluation;

/// <summary>Joins documents' values into figures, and estimates the figures' standard errors, as lm-evaluation-harness does.</summary>
public static class Aggregations
{
    // The harness draws in chunks, each with a generator of its own.
    private const int ResamplesAChunk = 1000;

    /// <summary>The figure.</summary>
    /// <param name="aggregation">How values are joined.</param>
    /// <param name="values">One a document; at least one.</param>
    public static double Apply(Aggregation aggregation, IReadOnlyList<MetricValue> values)
    {
        ArgumentOutOfRangeException.ThrowIfZero(values.Count);
        var sum = values.Sum(value => value.Value);
        var weights = values.Sum(value => value.Weight);
        return aggregation switch
        {
            Aggregation.Mean => sum / values.Count,
            Aggregation.Perplexity => Math.Exp(-sum / values.Count),
            Aggregation.WeightedPerplexity => Math.Exp(-sum / weights),
            Aggregation.BitsPerByte => -sum / weights / Math.Log(2),
            _ => throw new System.Diagnostics.UnreachableException($"No rule for {aggregation}."),
        };
    }

    /// <summary>The standard error: sample deviation over sqrt(n) of a mean, bootstrap of a perplexity, none of weighted figures.</summary>
    /// <param name="aggregation">How values are joined.</param>
    /// <param name="values">One a document.</param>
    /// <param name="resamples">Bootstrap samples; below 1,000 one chunk of that many, 0: no standard errors at all.</param>
    /// <returns>The standard error, or null where the harness writes "N/A".</returns>
    public static double? StandardError(Aggregation aggregation, IReadOnlyList<MetricValue> values, int resamples)
    {
        if (values.Count < 2 || resamples <= 0)
        {
            return null;
        }

        return aggregation switch
        {
            Aggregation.Mean => SampleDeviation([.. values.Select(value => value.Value)]) / Math.Sqrt(values.Count),
            Aggregation.Perplexity => Bootstrap([.. values.Select(value => value.Value)], resamples),
            _ => null,
        };
    }

    /// <summary>The mean over the tasks of a group, weighted by their numbers of documents.</summary>
    /// <param name="parts">Figure and number of documents of each task.</param>
    public static double GroupMean(IReadOnlyList<(double Figure, int Count)> parts) =>
        parts.Sum(part => part.Figure * part.Count) / parts.Sum(part => part.Count);

    /// <summary>The pooled standard error of a group: sqrt(sum((n - 1) n s^2) / (N - k) / N) over k tasks of n documents each, N in all.</summary>
    /// <param name="parts">Standard error and number of documents of each task.</param>
    public static double PooledStandardError(IReadOnlyList<(double Error, int Count)> parts)
    {
        double all = parts.Sum(part => part.Count);
        var pooled = parts.Sum(part => (part.Count - 1.0) * part.Count * part.Error * part.Error) / (all - parts.Count);
        return Math.Sqrt(pooled / all);
    }

    // Chunk i draws with Random(i), as the harness does, so its figures come out again.
    private static double Bootstrap(double[] values, int resamples)
    {
        var size = Math.Min(ResamplesAChunk, resamples);
        var chunks = resamples / size;
        var figures = new double[chunks * size];
        Parallel.For(0, chunks, chunk =>
        {
            var random = new PythonRandom(chunk);
            for (var i = 0; i < size; i++)
            {
                double sum = 0;
                for (var j = 0; j < values.Length; j++)
                {
                    sum += values[(int)(random.NextDouble() * values.Length)];
                }

                figures[(chunk * size) + i] = Math.Exp(-sum / values.Length);
            }
        });
        return SampleDeviation(figures);
    }

    private static double SampleDeviation(double[] values)
    {
        var mean = values.Average();
        return Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Length - 1));
    }
}
