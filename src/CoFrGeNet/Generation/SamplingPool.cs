using System.Numerics.Tensors;

namespace CoFrGeNet.Generation;

/// <summary>
/// Chooses among tokens by weight. It holds nothing but memory, which all sequences of a thread share: hundreds of sequences over a large vocabulary would
/// otherwise hold hundreds of megabytes.
/// </summary>
/// <remarks>Candidates always stand in the order of their ids, so that a draw does not depend on how they were found.</remarks>
internal sealed class SamplingPool
{
    private const int Block = 512;

    // The largest weight is 1, so the others never overflow; a temperature below this is greedy but for exact ties.
    private const float LeastTemperature = 1e-20f;

    [ThreadStatic]
    private static SamplingPool? _ofThisThread;

    private readonly PriorityQueue<int, (float Logit, int MinusId)> _kept = new();
    private float[] _logits = [];
    private float[] _weights = [];
    private float[] _order = [];
    private int[] _ids = [];

    /// <summary>The memory of the calling thread.</summary>
    public static SamplingPool OfThisThread => _ofThisThread ??= new SamplingPool();

    /// <summary>Copies logits to where they may be changed, until the next call.</summary>
    public Span<float> Copy(ReadOnlySpan<float> logits)
    {
        var copy = Grown(ref _logits, logits.Length);
        logits.CopyTo(copy);
        return copy;
    }

    /// <summary>Draws a token.</summary>
    /// <param name="logits">The adjusted logits.</param>
    /// <param name="best">Id of the largest.</param>
    /// <param name="options">Temperature above 0, top-k, top-p, min-p.</param>
    /// <param name="uniform">The random number, in [0, 1).</param>
    public int Draw(ReadOnlySpan<float> logits, int best, SamplingOptions options, double uniform)
    {
        var isAll = options.TopK == 0 || options.TopK >= logits.Length;
        var weights = Grown(ref _weights, isAll ? logits.Length : options.TopK);
        if (isAll)
        {
            logits.CopyTo(weights);
        }
        else
        {
            Likeliest(logits, weights);
        }

        // Softmax at the temperature without its division, since only shares of the sum matter.
        TensorPrimitives.Subtract(weights, logits[best], weights);
        TensorPrimitives.Divide(weights, Math.Max((float)options.Temperature, LeastTemperature), weights);
        TensorPrimitives.Exp<float>(weights, weights);
        if (options.TopP < 1 || options.MinP > 0)
        {
            weights = Likely(weights, options, isAll);
            isAll = false;
        }

        var index = Index(weights, uniform);
        return index < 0 ? best : isAll ? index : _ids[index];
    }

    // Top-k: the k likeliest, ids into _ids and logits into the result.
    private void Likeliest(ReadOnlySpan<float> logits, Span<float> kept)
    {
        // The root is the worst kept token: the smallest logit, of equal ones the largest id.
        var k = kept.Length;
        for (var i = 0; i < k; i++)
        {
            _kept.Enqueue(i, (logits[i], -i));
        }

        var least = logits[_kept.Peek()];
        for (var i = k; i < logits.Length; i++)
        {
            if (logits[i] > least)
            {
                _kept.EnqueueDequeue(i, (logits[i], -i));
                least = logits[_kept.Peek()];
            }
        }

        var ids = Grown(ref _ids, k);
        for (var i = 0; i < k; i++)
        {
            ids[i] = _kept.Dequeue();
        }

        ids.Sort();
        for (var i = 0; i < k; i++)
        {
            kept[i] = logits[ids[i]];
        }
    }

    // Top-p and min-p: moves the candidates that stay to the front.
    private Span<float> Likely(Span<float> weights, SamplingOptions options, bool isAll)
    {
        var (least, ties) = options.TopP < 1 ? Nucleus(weights, options.TopP) : (0f, int.MaxValue);
        var floor = (float)options.MinP;
        var ids = Grown(ref _ids, weights.Length);
        var count = 0;
        for (var i = 0; i < weights.Length; i++)
        {
            var weight = weights[i];
            if (weight >= floor && (weight > least || (weight == least && ties-- > 0)))
            {
                (ids[count], weights[count]) = (isAll ? i : ids[i], weight);
                count++;
            }
        }

        return weights[..count];
    }

    // The smallest set of largest weights that reaches a share of the sum: all above a weight, and the first few equal to it.
    private (float Least, int Ties) Nucleus(ReadOnlySpan<float> weights, double share)
    {
        var sum = LogSoftmax.Sum(weights);
        var target = sum * share;
        // Tokens below (1 - p) / count of the sum come to less than 1 - p together, so they are outside; this spares looking at the long tail.
        var floor = sum * (1 - share) / weights.Length;
        var order = Grown(ref _order, weights.Length);
        var count = 0;
        foreach (var weight in weights)
        {
            if (weight >= floor)
            {
                order[count++] = weight;
            }
        }

        return Reach(order[..count], target);
    }

    // Quickselect by sum instead of by rank.
    private static (float Least, int Ties) Reach(Span<float> weights, double target)
    {
        while (true)
        {
            var pivot = Median(weights[0], weights[weights.Length / 2], weights[^1]);
            var (above, equal) = Partition(weights, pivot);
            var sum = LogSoftmax.Sum(weights[..above]);
            if (above > 0 && sum >= target)
            {
                weights = weights[..above];
                continue;
            }

            target -= sum;
            var reached = (double)pivot * equal;
            if (reached >= target || above + equal == weights.Length)
            {
                return (pivot, Math.Clamp((int)Math.Min(Math.Ceiling(target / pivot), equal), 1, equal));
            }

            target -= reached;
            weights = weights[(above + equal)..];
        }
    }

    // Brings what is above the pivot to the front, then what equals it.
    private static (int Above, int Equal) Partition(Span<float> weights, float pivot)
    {
        int above = 0, next = 0, below = weights.Length;
        while (next < below)
        {
            var weight = weights[next];
            if (weight > pivot)
            {
                (weights[next++], weights[above]) = (weights[above], weight);
                above++;
            }
            else if (weight < pivot)
            {
                (weights[next], weights[--below]) = (weights[below], weight);
            }
            else
            {
                next++;
            }
        }

        return (above, below - above);
    }

    private static float Median(float a, float b, float c) => Math.Max(Math.Min(a, b), Math.Min(Math.Max(a, b), c));

    // Where the running sum passes the random share of the whole: block by block, then within the block. -1: rounding left nothing.
    private static int Index(ReadOnlySpan<float> weights, double uniform)
    {
        Span<double> sums = stackalloc double[64];
        var stride = Block * Math.Max(1, (weights.Length + (Block * sums.Length) - 1) / (Block * sums.Length));
        double sum = 0;
        var blocks = 0;
        for (var start = 0; start < weights.Length; start += stride)
        {
            sum += sums[blocks++] = LogSoftmax.Sum(weights.Slice(start, Math.Min(stride, weights.Length - start)));
        }

        var target = uniform * sum;
        var block = 0;
        while (block < blocks - 1 && target >= sums[block])
        {
            target -= sums[block++];
        }

        var last = -1;
        for (var i = block * stride; i < weights.Length; i++)
        {
            if (weights[i] > 0)
            {
                target -= weights[i];
                last = i;
                if (target < 0)
                {
                    break;
                }
            }
        }

        return last;
    }

    private static Span<T> Grown<T>(ref T[] array, int length)
    {
        if (array.Length < length)
        {
            array = new T[length];
        }

        return array.AsSpan(0, length);
    }
}
