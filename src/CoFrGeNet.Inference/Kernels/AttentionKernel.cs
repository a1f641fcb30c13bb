using System.Runtime.CompilerServices;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Inference;

// Dimensions: R = rows (a token and a query head), S = positions, s = width of queries and keys. Pages hold 64 positions, keys in blocks of 16 across the lanes.

/// <summary>
/// Attention in four passes over a row's positions: scores, largest, exponentials, weighted sum of values. Four rows share what they read; each sum runs from the
/// first term to the last in one lane, so that a row's result does not depend on those beside it.
/// </summary>
internal static unsafe class AttentionKernel<TLanes>
    where TLanes : unmanaged, ILanes<TLanes>
{
    /// <summary>Most rows at once.</summary>
    public const int MostRows = 4;

    private const int Page = CachePool.PageTokens;
    private const int Block = 16;

    /// <summary>Attends with neighbouring rows.</summary>
    /// <param name="call">What and where.</param>
    /// <param name="first">The first row.</param>
    /// <param name="count">Number of rows, up to <see cref="MostRows"/>.</param>
    public static void Run(in AttentionCall call, int first, int count)
    {
        var query = stackalloc float*[MostRows];
        var limit = stackalloc int[MostRows];
        var sums = stackalloc float[MostRows];
        var results = call.Room + (MostRows * call.ScoreStride);
        var shared = int.MaxValue;
        for (var i = 0; i < count; i++)
        {
            var row = first + i;
            query[i] = call.Queries + (row / call.Group * call.QueryStride) + (row % call.Group * call.KeySize);
            limit[i] = call.Position + (row / call.Group) + 1;
            shared = Math.Min(shared, limit[i]);
        }

        for (var i = count; i < MostRows; i++)
        {
            query[i] = query[0];
        }

        for (var start = 0; start < limit[count - 1]; start += Page)
        {
            var keys = (float*)call.KeyPages[start / Page] + call.KeyOffset;
            for (var vector = 0; vector < Page / TLanes.Count; vector += 4)
            {
                Score(call, query, count, keys, vector, call.Room + start + (vector * TLanes.Count));
            }
        }

        for (var i = 0; i < count; i++)
        {
            sums[i] = Soften(call, call.Room + (i * call.ScoreStride), limit[i]);
        }

        Sum(call, count, limit, shared, results);
        for (var i = 0; i < count; i++)
        {
            var row = first + i;
            var y = call.Y + (row / call.Group * call.YStride) + (row % call.Group * call.ValueSize);
            var factor = 1 / sums[i];
            for (var c = 0; c < call.ValueSize; c++)
            {
                y[c] = results[(i * call.ValueStride) + c] * factor;
            }
        }
    }

    private static float* KeysOf(in AttentionCall call, float* keys, int vector)
    {
        var place = vector * TLanes.Count;
        return keys + (place / Block * (nint)call.KeySize * Block) + (place % Block);
    }

    private static void Score(in AttentionCall call, float** query, int count, float* keys, int vector, float* scores)
    {
        float* k0 = KeysOf(call, keys, vector), k1 = KeysOf(call, keys, vector + 1), k2 = KeysOf(call, keys, vector + 2), k3 = KeysOf(call, keys, vector + 3);
        if (count > 1)
        {
            FourScores(query, k0, k1, k2, k3, call.KeySize, TLanes.Of(call.Scale), scores, call.ScoreStride);
        }
        else
        {
            OneScore(query[0], k0, k1, k2, k3, call.KeySize, TLanes.Of(call.Scale), scores);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneScore(float* q, float* k0, float* k1, float* k2, float* k3, int size, TLanes scale, float* scores)
    {
        TLanes s0 = default, s1 = default, s2 = default, s3 = default;
        for (nint d = 0; d < size; d++)
        {
            var v = TLanes.Of(q[d]);
            s0 = TLanes.MultiplyAdd(v, TLanes.Load(k0 + (d * Block)), s0);
            s1 = TLanes.MultiplyAdd(v, TLanes.Load(k1 + (d * Block)), s1);
            s2 = TLanes.MultiplyAdd(v, TLanes.Load(k2 + (d * Block)), s2);
            s3 = TLanes.MultiplyAdd(v, TLanes.Load(k3 + (d * Block)), s3);
        }

        Keep(s0, s1, s2, s3, scale, scores);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourScores(float** query, float* k0, float* k1, float* k2, float* k3, int size, TLanes scale, float* scores, int stride)
    {
        float* qa = query[0], qb = query[1], qc = query[2], qd = query[3];
        TLanes a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
        TLanes c0 = default, c1 = default, c2 = default, c3 = default, d0 = default, d1 = default, d2 = default, d3 = default;
        for (nint d = 0; d < size; d++)
        {
            TLanes v0 = TLanes.Load(k0 + (d * Block)), v1 = TLanes.Load(k1 + (d * Block)), v2 = TLanes.Load(k2 + (d * Block)), v3 = TLanes.Load(k3 + (d * Block));
            var q = TLanes.Of(qa[d]);
            a0 = TLanes.MultiplyAdd(q, v0, a0);
            a1 = TLanes.MultiplyAdd(q, v1, a1);
            a2 = TLanes.MultiplyAdd(q, v2, a2);
            a3 = TLanes.MultiplyAdd(q, v3, a3);
            q = TLanes.Of(qb[d]);
            b0 = TLanes.MultiplyAdd(q, v0, b0);
            b1 = TLanes.MultiplyAdd(q, v1, b1);
            b2 = TLanes.MultiplyAdd(q, v2, b2);
            b3 = TLanes.MultiplyAdd(q, v3, b3);
            q = TLanes.Of(qc[d]);
            c0 = TLanes.MultiplyAdd(q, v0, c0);
            c1 = TLanes.MultiplyAdd(q, v1, c1);
            c2 = TLanes.MultiplyAdd(q, v2, c2);
            c3 = TLanes.MultiplyAdd(q, v3, c3);
            q = TLanes.Of(qd[d]);
            d0 = TLanes.MultiplyAdd(q, v0, d0);
            d1 = TLanes.MultiplyAdd(q, v1, d1);
            d2 = TLanes.MultiplyAdd(q, v2, d2);
            d3 = TLanes.MultiplyAdd(q, v3, d3);
        }

        Keep(a0, a1, a2, a3, scale, scores);
        Keep(b0, b1, b2, b3, scale, scores + stride);
        Keep(c0, c1, c2, c3, scale, scores + (2 * stride));
        Keep(d0, d1, d2, d3, scale, scores + (3 * stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Keep(TLanes s0, TLanes s1, TLanes s2, TLanes s3, TLanes scale, float* scores)
    {
        TLanes.Store(s0 * scale, scores);
        TLanes.Store(s1 * scale, scores + TLanes.Count);
        TLanes.Store(s2 * scale, scores + (2 * TLanes.Count));
        TLanes.Store(s3 * scale, scores + (3 * TLanes.Count));
    }

    // Scores become e^(score - largest); returns their sum. What lies behind the limit is memory that was never written.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Soften(in AttentionCall call, float* scores, int limit)
    {
        var end = (limit + Block - 1) / Block * Block;
        new Span<float>(scores + limit, end - limit).Fill(float.NegativeInfinity);
        if (call.Window > 0)
        {
            for (var j = 0; j < limit - call.Window; j++)
            {
                scores[j] = (j + 1) % call.Stride == 0 ? scores[j] : float.NegativeInfinity;
            }
        }

        var largest = TLanes.Of(float.NegativeInfinity);
        for (var j = 0; j < end; j += TLanes.Count)
        {
            largest = TLanes.Max(TLanes.Load(scores + j), largest);
        }

        largest = TLanes.Of(TLanes.Largest(largest));
        TLanes sum = default;
        for (var j = 0; j < end; j += TLanes.Count)
        {
            var e = TLanes.Exp(TLanes.Load(scores + j) - largest);
            TLanes.Store(e, scores + j);
            sum += e;
        }

        return TLanes.Sum(sum);
    }

    private static void Sum(in AttentionCall call, int count, int* limit, int shared, float* results)
    {
        new Span<float>(results, count * call.ValueStride).Clear();
        for (var start = 0; start < limit[count - 1]; start += Page)
        {
            var values = (float*)call.ValuePages[start / Page] + call.ValueOffset;
            var together = count == MostRows ? Math.Clamp(shared - start, 0, Page) : 0;
            for (var c = 0; c < call.ValueStride && together > 0; c += TLanes.Count)
            {
                FourSums(call.Room + start, call.ScoreStride, values + c, call.ValueStride, together, results + c);
            }

            for (var i = 0; i < count; i++)
            {
                var own = Math.Clamp(limit[i] - start, 0, Page) - together;
                if (own > 0)
                {
                    OneRow(call.Room + (i * call.ScoreStride) + start + together, values + (together * (nint)call.ValueStride), call.ValueStride, own, results + (i * call.ValueStride));
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneRow(float* weights, float* values, int stride, int count, float* result)
    {
        var column = 0;
        var n = TLanes.Count;
        for (; column <= stride - (4 * n); column += 4 * n)
        {
            var v = values + column;
            var r = result + column;
            TLanes a = TLanes.Load(r), b = TLanes.Load(r + n), c = TLanes.Load(r + (2 * n)), d = TLanes.Load(r + (3 * n));
            for (var j = 0; j < count; j++, v += stride)
            {
                var w = TLanes.Of(weights[j]);
                a = TLanes.MultiplyAdd(w, TLanes.Load(v), a);
                b = TLanes.MultiplyAdd(w, TLanes.Load(v + n), b);
                c = TLanes.MultiplyAdd(w, TLanes.Load(v + (2 * n)), c);
                d = TLanes.MultiplyAdd(w, TLanes.Load(v + (3 * n)), d);
            }

            TLanes.Store(a, r);
            TLanes.Store(b, r + n);
            TLanes.Store(c, r + (2 * n));
            TLanes.Store(d, r + (3 * n));
        }

        for (; column < stride; column += n)
        {
            OneSum(weights, values + column, stride, count, result + column);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneSum(float* weights, float* values, nint stride, int count, float* result)
    {
        var sum = TLanes.Load(result);
        for (var j = 0; j < count; j++, values += stride)
        {
            sum = TLanes.MultiplyAdd(TLanes.Of(weights[j]), TLanes.Load(values), sum);
        }

        TLanes.Store(sum, result);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourSums(float* weights, int scoreStride, float* values, nint stride, int count, float* result)
    {
        float* wb = weights + scoreStride, wc = wb + scoreStride, wd = wc + scoreStride;
        float* rb = result + stride, rc = rb + stride, rd = rc + stride;
        TLanes a = TLanes.Load(result), b = TLanes.Load(rb), c = TLanes.Load(rc), d = TLanes.Load(rd);
        for (var j = 0; j < count; j++, values += stride)
        {
            var v = TLanes.Load(values);
            a = TLanes.MultiplyAdd(TLanes.Of(weights[j]), v, a);
            b = TLanes.MultiplyAdd(TLanes.Of(wb[j]), v, b);
            c = TLanes.MultiplyAdd(TLanes.Of(wc[j]), v, c);
            d = TLanes.MultiplyAdd(TLanes.Of(wd[j]), v, d);
        }

        TLanes.Store(a, result);
        TLanes.Store(b, rb);
        TLanes.Store(c, rc);
        TLanes.Store(d, rd);
    }
}
