namespace CoFrGeNet.Training;

/// <summary>A part of a parameter's elements, counted from its first one.</summary>
/// <param name="First">The first element.</param>
/// <param name="Count">How many; 0: none.</param>
public readonly record struct ElementRange(long First, long Count);

/// <summary>Where gradients lie that are sent together.</summary>
/// <param name="ReadyLayer">They are complete when the backward pass has come through this layer; -1: at its end.</param>
/// <param name="Entries">The index of each parameter and its first element in the bucket.</param>
/// <param name="Elements">Length, a multiple of the number of ranks.</param>
internal sealed record GradientBucket(int ReadyLayer, IReadOnlyList<(int Parameter, long Offset)> Entries, long Elements);

/// <summary>What the layout needs to know of a parameter.</summary>
/// <param name="Elements">Number of its elements.</param>
/// <param name="Layer">Its layer; that after the last one for the final norm and the head, -1 for embeddings.</param>
/// <param name="Phase">Parameters of one phase are trained from the same step on.</param>
internal readonly record struct BucketParameter(long Elements, int Layer, int Phase);

/// <summary>Lays parameters out in buckets, in the order in which the backward pass completes them.</summary>
internal static class BucketLayout
{
    /// <summary>
    /// Makes the buckets. Parameters of different phases never share one, so that a frozen ladder level is left out as a whole and the layout stays the same for the run.
    /// </summary>
    /// <param name="parameters">All parameters.</param>
    /// <param name="elements">A bucket is closed when it has so many.</param>
    /// <param name="ranks">Number of ranks.</param>
    public static IReadOnlyList<GradientBucket> Create(IReadOnlyList<BucketParameter> parameters, long elements, int ranks)
    {
        var buckets = new List<GradientBucket>();
        foreach (var phase in parameters.Select((parameter, index) => (parameter, index)).GroupBy(entry => entry.parameter.Phase))
        {
            var entries = new List<(int, long)>();
            var length = 0L;
            var ordered = phase.OrderByDescending(entry => entry.parameter.Layer).ToArray();
            for (var i = 0; i < ordered.Length; i++)
            {
                var (parameter, index) = ordered[i];
                entries.Add((index, length));
                length += parameter.Elements;
                // Embeddings come last: what is complete before shall not wait for them.
                var isLast = i + 1 == ordered.Length || (ordered[i + 1].parameter.Layer < 0 && parameter.Layer >= 0);
                if (isLast || length >= elements)
                {
                    buckets.Add(new GradientBucket(parameter.Layer, [.. entries], (length + ranks - 1) / ranks * ranks));
                    entries.Clear();
                    length = 0;
                }
            }
        }

        return [.. buckets.OrderByDescending(bucket => bucket.ReadyLayer)];
    }

    /// <summary>The elements of a parameter that lie in a rank's part of a bucket.</summary>
    /// <param name="bucket">The bucket.</param>
    /// <param name="offset">The parameter's first element in it.</param>
    /// <param name="count">Number of the parameter's elements.</param>
    /// <param name="rank">The rank.</param>
    /// <param name="ranks">Number of ranks.</param>
    public static ElementRange Part(GradientBucket bucket, long offset, long count, int rank, int ranks)
    {
        var share = bucket.Elements / ranks;
        var first = Math.Clamp((rank * share) - offset, 0, count);
        var end = Math.Clamp(((rank + 1) * share) - offset, 0, count);
        return new ElementRange(first, end - first);
    }
}
