using CoFrGeNet.Configuration;

namespace CoFrGeNet.Inference;

// Dimensions: h = query heads, g = key-value heads, s = width of a head.

/// <summary>Causal softmax attention with grouped queries, rotary embedding and sparse patterns. Keys lie across the lanes: 16 positions of a coordinate are neighbours.</summary>
internal sealed unsafe class Attention : TokenMixer
{
    private const int Block = EngineKernels.RowAlignment;

    private readonly AttentionConfig _config;
    private readonly int _groups;
    private readonly int _size;
    private readonly int _valueStride;
    private readonly Rotary? _rotary;
    private readonly Linear _qkv;
    private readonly Linear _output;
    private readonly Action<int> _keepRow;
    private Pass _pass = null!;
    private float* _mixed;
    private int _mixedStride;

    /// <summary>Reads its tensors.</summary>
    /// <param name="weights">Where from.</param>
    /// <param name="name">Its name.</param>
    /// <param name="width">The model's width.</param>
    /// <param name="config">Heads, groups, pattern.</param>
    /// <param name="rotary">The rotary embedding, or null.</param>
    public Attention(WeightReader weights, string name, int width, AttentionConfig config, Rotary? rotary)
    {
        _config = config;
        _groups = config.KeyValueHeads ?? config.Heads;
        _size = config.ResolveHeadSize(width);
        _valueStride = EngineKernels.Padded(_size);
        _rotary = rotary;
        _qkv = Linear.Read(weights, $"{name}.qkv", (config.Heads + (2L * _groups)) * _size, width, config.Bias);
        _output = Linear.Read(weights, $"{name}.output", width, (long)config.Heads * _size, config.Bias);
        _keepRow = KeepRow;
    }

    /// <inheritdoc/>
    public override long PageFloats => (long)_groups * CachePool.PageTokens * (_size + _valueStride);

    private nint KeyHead => (nint)CachePool.PageTokens * _size;

    private nint ValueHead => (nint)CachePool.PageTokens * _valueStride;

    /// <inheritdoc/>
    public override void Forward(Pass pass, float* x, float* residual, int stride)
    {
        _pass = pass;
        _mixedStride = EngineKernels.Padded(_qkv.Matrix.Outputs);
        _mixed = pass.Arena.Take((long)pass.Rows * _mixedStride);
        pass.Enqueue(_qkv, _mixed, _mixedStride);
        pass.Multiply(x, stride);
        pass.ForRows(_keepRow);
        var outputStride = EngineKernels.Padded(_output.Matrix.Inputs);
        var output = pass.Arena.Take((long)pass.Rows * outputStride);
        var sparse = _config as SparseAttentionConfig;
        pass.Attend(
            new AttentionCall
            {
                KeySize = _size,
                ValueSize = _size,
                ValueStride = _valueStride,
                Scale = 1 / MathF.Sqrt(_size),
                Window = sparse?.Window ?? 0,
                Stride = sparse?.Stride ?? 0,
                Queries = _mixed,
                QueryStride = _mixedStride,
                Y = output,
                YStride = outputStride,
                Group = _config.Heads / _groups,
            },
            new AttentionPlaces
            {
                Heads = _groups,
                KeyOffset = PageOffset,
                KeyHead = KeyHead,
                ValueOffset = PageOffset + (_groups * KeyHead),
                ValueHead = ValueHead,
            });
        pass.Enqueue(_output, residual, stride, adds: true);
        pass.Multiply(output, outputStride);
    }

    // Turns queries and keys, and puts keys and values into the cache.
    private void KeepRow(int row)
    {
        var query = _mixed + ((nint)row * _mixedStride);
        var key = query + ((nint)_config.Heads * _size);
        var value = key + ((nint)_groups * _size);
        _rotary?.Apply(_pass.Kernels, row, query, _config.Heads + _groups);
        var place = _pass.Position(row) % CachePool.PageTokens;
        var keys = _pass.PageOf(row) + PageOffset;
        var values = keys + (_groups * KeyHead) + (place * (nint)_valueStride);
        keys += (place / Block * (nint)_size * Block) + (place % Block);
        for (var head = 0; head < _groups; head++, keys += KeyHead, key += _size)
        {
            for (var i = 0; i < _size; i++)
            {
                keys[(nint)i * Block] = key[i];
            }

            new ReadOnlySpan<float>(value + (head * _size), _size).CopyTo(new Span<float>(values + (head * ValueHead), _size));
        }
    }
}
