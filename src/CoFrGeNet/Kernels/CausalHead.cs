using System.Runtime.CompilerServices;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

// Dimensions: T tokens, s width of a head; R rows (queries) of a block. In room both are rounded up to whole panels, the rest zero.

/// <summary>
/// One head of one sequence of <see cref="CausalAttentionKernel"/>. A block of queries at a time: its scores with all earlier keys, P = softmax, then o = P v;
/// backward P again from the kept sums, dP = do v^T, dS = P (.) (dP - rowsum(do (.) o)), dq = dS k, dk += dS^T q, dv += P^T do.
/// </summary>
internal readonly unsafe struct CausalHead<TLanes, TElement>
    where TLanes : unmanaged, ILanes<TLanes>
    where TElement : unmanaged
{
    private const int BlockRows = 32;

    // Keys of a product with a long inner dimension: a panel of that many stays in the first cache.
    private const int KeyChunk = 128;

    // A multiple of every panel's width.
    private const int Rounding = 32;

    private readonly CausalCall _call;
    private readonly int _tokens;
    private readonly int _size;
    private readonly int _paddedTokens;
    private readonly int _paddedSize;
    private readonly int _scoreStride;
    private readonly float _scale;
    private readonly nint _input;
    private readonly nint _output;
    private readonly float* _logSums;

    public CausalHead(CausalCall call, int piece)
    {
        CausalSize size = call.Size;
        (int sequence, int head) = (piece / size.Heads, piece % size.Heads);
        (_call, _tokens, _size) = (call, size.Tokens, size.HeadSize);
        (_paddedTokens, _paddedSize) = (RoundUp(_tokens, Rounding), RoundUp(_size, Rounding));

        // Not a power of two: rows a multiple of 4096 bytes apart would share the few places of one line in the first cache.
        _scoreStride = _paddedTokens + 16;
        _scale = 1 / MathF.Sqrt(_size);
        _input = ((nint)sequence * _tokens * size.InputStride) + (head * _size);
        _output = ((nint)sequence * _tokens * size.OutputStride) + (head * _size);
        _logSums = call.LogSums + ((nint)piece * _tokens);
    }

    /// <summary>Floats of working memory, backward; forward needs less.</summary>
    public long RoomSize => (long)_paddedSize * ((6L * _paddedTokens) + (6 * BlockRows)) + (2L * BlockRows * _scoreStride);

    public void Forward(float* room)
    {
        float* rows = Take(ref room, _paddedTokens), keys = Take(ref room, _paddedTokens), values = Take(ref room, _paddedTokens);
        float* query = Take(ref room, BlockRows), mixed = Take(ref room, BlockRows), scores = room;
        float* sums = stackalloc float[BlockRows];
        Read(Keys, _call.Size.InputStride, 0, _tokens, rows, 1);
        PanelProduct<TLanes>.PackTransposed(rows, _paddedSize, _tokens, _size, keys, _paddedTokens);
        Read(Values, _call.Size.InputStride, 0, _tokens, rows, 1);
        PanelProduct<TLanes>.Pack(rows, _paddedSize, _tokens, _paddedSize, values, _paddedTokens);
        for (int first = 0; first < _tokens; first += BlockRows)
        {
            int count = Math.Min(BlockRows, _tokens - first);
            Read(Queries, _call.Size.InputStride, first, count, query, _scale);
            Scores(query, keys, first, count, scores);
            for (int row = 0; row < count; row++)
            {
                sums[row] = Soften(scores + (row * _scoreStride), first + row + 1, Limit(first + row), out _logSums[first + row]);
            }

            Mix(scores, values, first, count, mixed);
            for (int row = 0; row < count; row++)
            {
                Write(mixed + (row * _paddedSize), (TElement*)_call.O + _output + ((nint)(first + row) * _call.Size.OutputStride), 1 / sums[row]);
            }
        }
    }

    public void Backward(float* room)
    {
        float* rows = Take(ref room, _paddedTokens), keys = Take(ref room, _paddedTokens), keyPanels = Take(ref room, _paddedTokens);
        float* values = Take(ref room, _paddedTokens), gradKeys = Take(ref room, _paddedTokens), gradValues = Take(ref room, _paddedTokens);
        float* query = Take(ref room, BlockRows), queryPanels = Take(ref room, BlockRows), gradQuery = Take(ref room, BlockRows);
        float* upstream = Take(ref room, BlockRows), upstreamPanels = Take(ref room, BlockRows), outputs = Take(ref room, BlockRows);
        float* weights = room, slopes = room + (BlockRows * _scoreStride);
        (int inputStride, int outputStride) = (_call.Size.InputStride, _call.Size.OutputStride);
        Read(Values, inputStride, 0, _tokens, rows, 1);
        PanelProduct<TLanes>.PackTransposed(rows, _paddedSize, _tokens, _size, values, _paddedTokens);
        Read(Keys, inputStride, 0, _tokens, rows, 1);
        PanelProduct<TLanes>.PackTransposed(rows, _paddedSize, _tokens, _size, keys, _paddedTokens);
        PanelProduct<TLanes>.Pack(rows, _paddedSize, _tokens, _paddedSize, keyPanels, _paddedTokens);
        new Span<float>(gradKeys, _paddedTokens * _paddedSize).Clear();
        new Span<float>(gradValues, _paddedTokens * _paddedSize).Clear();
        for (int first = 0; first < _tokens; first += BlockRows)
        {
            int count = Math.Min(BlockRows, _tokens - first);
            Read(Queries, inputStride, first, count, query, _scale);
            Read((TElement*)_call.GradO + _output, outputStride, first, count, upstream, 1);
            Read((TElement*)_call.O + _output, outputStride, first, count, outputs, 1);
            PanelProduct<TLanes>.Pack(query, _paddedSize, BlockRows, _paddedSize, queryPanels, BlockRows);
            PanelProduct<TLanes>.Pack(upstream, _paddedSize, BlockRows, _paddedSize, upstreamPanels, BlockRows);
            Scores(query, keys, first, count, weights);
            Scores(upstream, values, first, count, slopes);
            for (int row = 0; row < count; row++)
            {
                float mean = Dot(upstream + (row * _paddedSize), outputs + (row * _paddedSize));
                Differentiate(weights + (row * _scoreStride), slopes + (row * _scoreStride), first + row + 1, Limit(first + row), _logSums[first + row], mean);
            }

            Mix(slopes, keyPanels, first, count, gradQuery);
            for (int row = 0; row < count; row++)
            {
                Write(gradQuery + (row * _paddedSize), GradQueries + ((nint)(first + row) * inputStride), _scale);
            }

            Collect(slopes, queryPanels, first, count, gradKeys);
            Collect(weights, upstreamPanels, first, count, gradValues);
        }

        for (int row = 0; row < _tokens; row++)
        {
            Write(gradKeys + ((nint)row * _paddedSize), GradQueries + ((nint)row * inputStride) + outputStride, 1);
            Write(gradValues + ((nint)row * _paddedSize), GradQueries + ((nint)row * inputStride) + (2 * outputStride), 1);
        }
    }

    private TElement* Queries => (TElement*)_call.Qkv + _input;

    private TElement* Keys => Queries + _call.Size.OutputStride;

    private TElement* Values => Queries + (2 * _call.Size.OutputStride);

    private TElement* GradQueries => (TElement*)_call.GradQkv + _input;

    // The first column that no row computed together with this one sees; up to there scores are written.
    private static int Limit(int row) => RoundUp((row & ~(PanelProduct<TLanes>.Rows - 1)) + PanelProduct<TLanes>.Rows, PanelProduct<TLanes>.Width);

    private static int RoundUp(int value, int multiple) => (value + multiple - 1) / multiple * multiple;

    private float* Take(ref float* room, int rows)
    {
        float* taken = room;
        room += (nint)rows * _paddedSize;
        return taken;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    // Left [R, s] times transposed right, for the columns that rows see.
    private void Scores(float* left, float* right, int first, int count, float* scores)
    {
        int width = PanelProduct<TLanes>.Width;
        for (int column = 0; column < first + count; column += width)
        {
            for (int row = 0; row < count; row += PanelProduct<TLanes>.Rows)
            {
                if (column < first + row + PanelProduct<TLanes>.Rows)
                {
                    PanelProduct<TLanes>.Run(
                        left + (row * _paddedSize), _paddedSize, 1, right + ((nint)column * _size), _size, scores + (row * _scoreStride) + column, _scoreStride, false);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    // Weights [R, T] times right [T, s].
    private void Mix(float* weights, float* right, int first, int count, float* result)
    {
        int width = PanelProduct<TLanes>.Width;
        for (int start = 0; start < first + count; start += KeyChunk)
        {
            for (int column = 0; column < _paddedSize; column += width)
            {
                float* panel = right + ((nint)column * _paddedTokens) + ((nint)start * width);
                for (int row = 0; row < count; row += PanelProduct<TLanes>.Rows)
                {
                    int end = Math.Min(start + KeyChunk, first + row + PanelProduct<TLanes>.Rows);
                    if (end > start)
                    {
                        PanelProduct<TLanes>.Run(
                            weights + (row * _scoreStride) + start, _scoreStride, 1, panel, end - start, result + (row * _paddedSize) + column, _paddedSize, start > 0);
                    }
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    // Adds transposed weights [T, R] times right [R, s].
    private void Collect(float* weights, float* right, int first, int count, float* result)
    {
        int width = PanelProduct<TLanes>.Width, rows = RoundUp(count, PanelProduct<TLanes>.Rows);
        for (int key = 0; key < first + count; key += PanelProduct<TLanes>.Rows)
        {
            // Earlier queries do not see it.
            int row = Math.Max(0, key - first);
            for (int column = 0; column < _paddedSize; column += width)
            {
                PanelProduct<TLanes>.Run(
                    weights + (row * _scoreStride) + key, 1, _scoreStride, right + (column * BlockRows) + (row * width), rows - row,
                    result + ((nint)key * _paddedSize) + column, _paddedSize, true);
            }
        }
    }

    // exp(score - largest) in place, zero beyond count; returns their sum.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Soften(float* scores, int count, int limit, out float logSum)
    {
        // An ordinary number changes nothing of the largest.
        new Span<float>(scores + count, limit - count).Fill(scores[0]);
        TLanes largest = TLanes.Load(scores);
        for (int i = TLanes.Count; i < count; i += TLanes.Count)
        {
            largest = TLanes.Max(largest, TLanes.Load(scores + i));
        }

        float top = TLanes.Largest(largest);
        TLanes shift = TLanes.Of(top);
        for (int i = 0; i < count; i += TLanes.Count)
        {
            TLanes.Store(TLanes.Exp(TLanes.Load(scores + i) - shift), scores + i);
        }

        new Span<float>(scores + count, limit - count).Clear();
        TLanes sums = default;
        for (int i = 0; i < count; i += TLanes.Count)
        {
            sums += TLanes.Load(scores + i);
        }

        float sum = TLanes.Sum(sums);
        logSum = top + MathF.Log(sum);
        return sum;
    }

    // Scores become weights, their gradients (of the weights) those of the scores; both zero beyond count.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Differentiate(float* scores, float* slopes, int count, int limit, float logSum, float mean)
    {
        TLanes shift = TLanes.Of(logSum), middle = TLanes.Of(mean);
        for (int i = 0; i < count; i += TLanes.Count)
        {
            TLanes weight = TLanes.Exp(TLanes.Load(scores + i) - shift);
            TLanes.Store(weight, scores + i);
            TLanes.Store(weight * (TLanes.Load(slopes + i) - middle), slopes + i);
        }

        new Span<float>(scores + count, limit - count).Clear();
        new Span<float>(slopes + count, limit - count).Clear();
    }

    private float Dot(float* left, float* right)
    {
        TLanes sum = default;
        for (int i = 0; i < _paddedSize; i += TLanes.Count)
        {
            sum = TLanes.MultiplyAdd(TLanes.Load(left + i), TLanes.Load(right + i), sum);
        }

        return TLanes.Sum(sum);
    }

    // Rows of the head as float32, zero beyond its width and, of a block, beyond its rows.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Read(TElement* source, int stride, int first, int count, float* target, float factor)
    {
        TLanes scale = TLanes.Of(factor);
        for (int row = 0; row < count; row++)
        {
            TElement* from = source + ((nint)(first + row) * stride);
            float* to = target + ((nint)row * _paddedSize);
            int i = 0;
            for (; i <= _size - TLanes.Count; i += TLanes.Count)
            {
                TLanes.Store(LaneMemory<TLanes, TElement>.Load(from + i) * scale, to + i);
            }

            if (i < _size)
            {
                TLanes.Store(LaneMemory<TLanes, TElement>.LoadPart(from + i, _size - i) * scale, to + i);
            }

            new Span<float>(to + _size, _paddedSize - _size).Clear();
        }

        if (count < BlockRows)
        {
            new Span<float>(target + (count * _paddedSize), (BlockRows - count) * _paddedSize).Clear();
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Write(float* source, TElement* target, float factor)
    {
        TLanes scale = TLanes.Of(factor);
        for (int i = 0; i < _size; i += TLanes.Count)
        {
            LaneMemory<TLanes, TElement>.StoreFirst(TLanes.Load(source + i) * scale, target + i, Math.Min(TLanes.Count, _size - i));
        }
    }
}
