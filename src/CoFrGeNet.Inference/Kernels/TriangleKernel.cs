using System.Runtime.CompilerServices;
using CoFrGeNet.Configuration;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Inference;

/// <summary>The sums of CAttnU: row i of a triangle times the tokens up to i, two triangles at once.</summary>
internal unsafe struct TriangleCall
{
    /// <summary>Pages of the cache.</summary>
    public nint* Pages;

    /// <summary>Where a page's y_1 begins, [64, <see cref="Stride"/>].</summary>
    public nint FirstOffset;

    /// <summary>Where a page's y_2 begins.</summary>
    public nint SecondOffset;

    /// <summary>Whether forget gates fade the rows.</summary>
    public bool IsFading;

    /// <summary>Where a page's c of the forget gates begins, [2 h, 64], those of U_1 first.</summary>
    public nint FadingOffset;

    /// <summary>From a position to the next: p in whole registers.</summary>
    public int Stride;

    /// <summary>Row i of U_1 begins at i times <see cref="FirstRow"/>.</summary>
    public float* First;

    /// <summary>From a row of U_1 to the next.</summary>
    public nint FirstRow;

    /// <summary>U_2: row i begins at i times <see cref="SecondRow"/>, or at i (i + 1) / 2 where it is packed.</summary>
    public float* Second;

    /// <summary>From a row of U_2 to the next, unless it is packed.</summary>
    public nint SecondRow;

    /// <summary>Whether the rows of U_2 lie packed, row i of length i + 1.</summary>
    public bool IsSecondPacked;

    /// <summary>Number of heads.</summary>
    public int Heads;

    /// <summary>Channels of a head; the last one takes those that fill the last register too.</summary>
    public int HeadSize;

    /// <summary>From a head's maps to the next one's.</summary>
    public nint HeadStep;

    /// <summary>Position of the first token.</summary>
    public int Position;

    /// <summary>Where the first token's result is added.</summary>
    public float* Y;

    /// <summary>From a token's result to the next.</summary>
    public nint YStride;
}

// Dimensions: i = position of a token, j = positions up to it, c = channel.

/// <summary>
/// y_i += (sum_j U_1[i, j] y_1[j]) (.) (sum_j U_2[i, j] y_2[j]), j = 0 .. i in order, for neighbouring tokens and channels; with forget gates U[i, j] e^(c_i - c_j) in place of U[i, j].
/// </summary>
internal static unsafe class TriangleKernel<TLanes>
    where TLanes : unmanaged, ILanes<TLanes>
{
    /// <summary>Most tokens at once.</summary>
    public const int MostRows = 4;

    private const int Page = CachePool.PageTokens;

    /// <summary>Channels at once.</summary>
    public static int Channels => 2 * TLanes.Count;

    /// <summary>Mixes some tokens on some channels, once for each head that they belong to.</summary>
    /// <param name="call">What and where.</param>
    /// <param name="first">The first token.</param>
    /// <param name="count">Number of tokens, up to <see cref="MostRows"/>.</param>
    /// <param name="channel">The first channel.</param>
    public static void Run(in TriangleCall call, int first, int count, int channel)
    {
        var last = Math.Min((channel + Channels - 1) / call.HeadSize, call.Heads - 1);
        for (var head = Math.Min(channel / call.HeadSize, call.Heads - 1); head <= last; head++)
        {
            var own = call;
            own.First += head * call.HeadStep;
            own.Second += head * call.HeadStep;
            RunHead(own, head, first, count, channel);
        }
    }

    private static void RunHead(in TriangleCall call, int head, int first, int count, int channel)
    {
        var sums = stackalloc TLanes[MostRows * 4];
        new Span<TLanes>(sums, MostRows * 4).Clear();
        var isPair = channel + TLanes.Count < call.Stride;
        var faded = stackalloc float[call.IsFading ? MostRows * Page : 0];
        var rows = stackalloc float*[MostRows];
        for (var start = 0; start < call.Position + first + count; start += Page)
        {
            var page = (float*)call.Pages[start / Page];
            var together = count == MostRows ? Own(call, first, start) : 0;
            for (var which = 0; which < 2; which++)
            {
                var y = page + (which == 0 ? call.FirstOffset : call.SecondOffset) + channel;
                for (var i = 0; i < count; i++)
                {
                    rows[i] = Row(call, which, first + i) + start;
                    if (call.IsFading)
                    {
                        var target = faded + (i * Page);
                        Fade(call, (which * call.Heads) + head, start, first + i, rows[i], target);
                        rows[i] = target;
                    }
                }

                if (together > 0)
                {
                    Four(rows[0], rows[1], rows[2], rows[3], y, call.Stride, together, isPair, sums + (2 * which));
                }

                for (var i = 0; i < count; i++)
                {
                    var own = Own(call, first + i, start);
                    if (own > together)
                    {
                        One(rows[i] + together, y + (together * (nint)call.Stride), call.Stride, own - together, isPair, sums + (4 * i) + (2 * which));
                    }
                }
            }
        }

        for (var i = 0; i < count; i++)
        {
            var y = call.Y + ((first + i) * call.YStride) + channel;
            for (var v = 0; v < (isPair ? 2 : 1); v++)
            {
                Add(call, head, channel + (v * TLanes.Count), sums[(4 * i) + v] * sums[(4 * i) + 2 + v], y + (v * TLanes.Count));
            }
        }
    }

    // Adds those of a register's channels that belong to the head.
    private static void Add(in TriangleCall call, int head, int channel, TLanes mixed, float* y)
    {
        var begin = Math.Max(0, (head * call.HeadSize) - channel);
        var end = head == call.Heads - 1 ? TLanes.Count : Math.Min(TLanes.Count, ((head + 1) * call.HeadSize) - channel);
        if (end - begin == TLanes.Count)
        {
            TLanes.Store(TLanes.Load(y) + mixed, y);
            return;
        }

        var values = stackalloc float[TLanes.Count];
        TLanes.Store(mixed, values);
        for (var c = begin; c < end; c++)
        {
            y[c] += values[c];
        }
    }

    // How many tokens of the page that begins at a position a token sees.
    private static int Own(in TriangleCall call, int token, int start) => Math.Clamp(call.Position + token + 1 - start, 0, Page);

    // A token's row of U, faded: its part for one page. What is less than the least is 0, as in training.
    private static void Fade(in TriangleCall call, int gate, int start, int token, float* row, float* target)
    {
        var (position, count) = (call.Position + token, Own(call, token, start));
        var own = ((float*)call.Pages[position / Page])[call.FadingOffset + (gate * Page) + (position % Page)];
        var others = (float*)call.Pages[start / Page] + call.FadingOffset + (gate * Page);
        var j = 0;
        TLanes c = TLanes.Of(own), least = TLanes.Of(CAttnUConfig.LeastKept), zero = TLanes.Of(0);
        for (; j <= count - TLanes.Count; j += TLanes.Count)
        {
            TLanes.Store(TLanes.Load(row + j) * TLanes.Max(TLanes.Exp(c - TLanes.Load(others + j)) - least, zero), target + j);
        }

        for (; j < count; j++)
        {
            target[j] = row[j] * MathF.Max(MathF.Exp(own - others[j]) - CAttnUConfig.LeastKept, 0);
        }
    }

    private static float* Row(in TriangleCall call, int which, int token)
    {
        nint i = call.Position + token;
        return which == 0 ? call.First + (i * call.FirstRow) : call.Second + (call.IsSecondPacked ? i * (i + 1) / 2 : i * call.SecondRow);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One(float* weights, float* y, nint stride, int count, bool isPair, TLanes* sums)
    {
        TLanes a = sums[0], b = sums[1];
        var second = isPair ? TLanes.Count : 0;
        for (var j = 0; j < count; j++, y += stride)
        {
            var w = TLanes.Of(weights[j]);
            a = TLanes.MultiplyAdd(w, TLanes.Load(y), a);
            b = TLanes.MultiplyAdd(w, TLanes.Load(y + second), b);
        }

        (sums[0], sums[1]) = (a, b);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four(float* wa, float* wb, float* wc, float* wd, float* y, nint stride, int count, bool isPair, TLanes* sums)
    {
        TLanes a0 = sums[0], a1 = sums[1], b0 = sums[4], b1 = sums[5], c0 = sums[8], c1 = sums[9], d0 = sums[12], d1 = sums[13];
        var second = isPair ? TLanes.Count : 0;
        for (var j = 0; j < count; j++, y += stride)
        {
            TLanes v0 = TLanes.Load(y), v1 = TLanes.Load(y + second);
            var w = TLanes.Of(wa[j]);
            a0 = TLanes.MultiplyAdd(w, v0, a0);
            a1 = TLanes.MultiplyAdd(w, v1, a1);
            w = TLanes.Of(wb[j]);
            b0 = TLanes.MultiplyAdd(w, v0, b0);
            b1 = TLanes.MultiplyAdd(w, v1, b1);
            w = TLanes.Of(wc[j]);
            c0 = TLanes.MultiplyAdd(w, v0, c0);
            c1 = TLanes.MultiplyAdd(w, v1, c1);
            w = TLanes.Of(wd[j]);
            d0 = TLanes.MultiplyAdd(w, v0, d0);
            d1 = TLanes.MultiplyAdd(w, v1, d1);
        }

        (sums[0], sums[1], sums[4], sums[5]) = (a0, a1, b0, b1);
        (sums[8], sums[9], sums[12], sums[13]) = (c0, c1, d0, d1);
    }
}
