using System.Diagnostics;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Inference;

// Dimensions: h = heads, T = context length, s = width of a query (L ladders of CAttnM), v = width of a value.

/// <summary>
/// Attention whose keys are learned for absolute positions, so that only values are cached: CAttnM, softmax(z F) V with ladders z, and the Synthesizer,
/// softmax(ReLU(W_1 x) P) V. The learned keys are laid out as cached ones are, in a copy of their own.
/// </summary>
internal sealed unsafe class PositionAttention : TokenMixer
{
    private const int Block = EngineKernels.RowAlignment;

    private readonly int _heads;
    private readonly int _size;
    private readonly int _valueSize;
    private readonly int _valueStride;
    private readonly nint* _keyPages;
    private readonly Ladders? _ladders;
    private readonly Linear _hidden;
    private readonly Linear _value;
    private readonly Linear? _output;
    private readonly Action<int> _queryRow;
    private readonly Action<int> _addRow;
    private Pass _pass = null!;
    private float* _denominators;
    private float* _queries;
    private float* _values;
    private float* _results;
    private float* _residual;
    private int _stride;

    /// <summary>Reads CAttnM's tensors.</summary>
    public PositionAttention(WeightReader weights, string name, ModelConfig model, CAttnMConfig config)
        : this(weights, name, model, config.Heads, config.Ladders.Count) =>
        _ladders = new Ladders(weights, $"{name}.ladders", model.Width, config.Ladders with { Count = checked(config.Heads * config.Ladders.Count) });

    /// <summary>Reads the Synthesizer's tensors.</summary>
    public PositionAttention(WeightReader weights, string name, ModelConfig model, SynthesizerConfig config)
        : this(weights, name, model, config.Heads, model.Width / config.Heads)
    {
        _hidden = Linear.Read(weights, $"{name}.hidden", model.Width, model.Width);
        _output = Linear.Read(weights, $"{name}.output", model.Width, model.Width);
    }

    private PositionAttention(WeightReader weights, string name, ModelConfig model, int heads, int size)
    {
        (_heads, _size, _valueSize) = (heads, size, model.Width / heads);
        _valueStride = EngineKernels.Padded(_valueSize);
        _keyPages = Arrange(weights, weights.Vector($"{name}.positions", heads, model.ContextLength, size), model.ContextLength);
        _value = Linear.Read(weights, $"{name}.value", model.Width, model.Width);
        _queryRow = QueryRow;
        _addRow = AddRow;
    }

    /// <inheritdoc/>
    public override long PageFloats => (long)_heads * CachePool.PageTokens * _valueStride;

    private int QueryWidth => _heads * _size;

    /// <inheritdoc/>
    public override void Forward(Pass pass, float* x, float* residual, int stride)
    {
        _pass = pass;
        _residual = residual;
        _stride = stride;
        var queryStride = EngineKernels.Padded(QueryWidth);
        _queries = pass.Arena.Take((long)pass.Rows * queryStride);
        _values = pass.Arena.Take((long)pass.Rows * stride);
        _results = pass.Arena.Take((long)pass.Rows * stride);
        pass.Enqueue(_value, _values, stride);
        if (_ladders is null)
        {
            pass.Enqueue(_hidden, _queries, queryStride);
        }
        else
        {
            _denominators = pass.Arena.Take(pass.Rows * _ladders.RowFloats);
            _ladders.Enqueue(pass, _denominators);
        }

        pass.Multiply(x, stride);
        pass.ForRows(_queryRow);
        _ladders?.Look(pass, _denominators);
        pass.Attend(
            new AttentionCall
            {
                KeySize = _size,
                ValueSize = _valueSize,
                ValueStride = _valueStride,
                Scale = 1,
                Queries = _queries,
                QueryStride = queryStride,
                Y = _results,
                YStride = stride,
                Group = 1,
            },
            new AttentionPlaces
            {
                Heads = _heads,
                StaticKeys = _keyPages,
                KeyHead = (nint)CachePool.PageTokens * _size,
                ValueOffset = PageOffset,
                ValueHead = (nint)CachePool.PageTokens * _valueStride,
            });
        if (_output is { } output)
        {
            pass.Enqueue(output, residual, stride, adds: true);
            pass.Multiply(_results, stride);
        }
        else
        {
            pass.ForRows(_addRow);
        }
    }

    private void QueryRow(int row)
    {
        var query = _queries + ((nint)row * EngineKernels.Padded(QueryWidth));
        if (_ladders is null)
        {
            _pass.Kernels.Relu(query, QueryWidth);
        }
        else
        {
            _ladders.Evaluate(_pass.Kernels, _denominators + (row * _ladders.RowFloats), query);
        }

        var values = _pass.PageOf(row) + PageOffset + (_pass.Position(row) % CachePool.PageTokens * (nint)_valueStride);
        for (var head = 0; head < _heads; head++)
        {
            new ReadOnlySpan<float>(_values + ((nint)row * _stride) + (head * _valueSize), _valueSize)
                .CopyTo(new Span<float>(values + ((nint)head * CachePool.PageTokens * _valueStride), _valueSize));
        }
    }

    private void AddRow(int row) => _pass.Kernels.Add(_results + ((nint)row * _stride), _stride, _residual + ((nint)row * _stride));

    // [h, T, s] -> pages of [h, 4, s, 16].
    private nint* Arrange(WeightReader weights, float* positions, int contextLength)
    {
        var pages = (contextLength + CachePool.PageTokens - 1) / CachePool.PageTokens;
        var pageFloats = (long)_heads * CachePool.PageTokens * _size;
        var table = (nint*)weights.Allocate(2L * pages);
        var memory = weights.Allocate(pages * pageFloats);
        Debug.Assert(sizeof(nint) <= 2 * sizeof(float), "a page's address takes two float32 places");
        new Span<float>(memory + ((pages - 1) * pageFloats), checked((int)pageFloats)).Clear();
        for (var page = 0; page < pages; page++)
        {
            table[page] = (nint)(memory + (page * pageFloats));
        }

        for (var head = 0; head < _heads; head++)
        {
            for (var position = 0; position < contextLength; position++)
            {
                var source = positions + ((((long)head * contextLength) + position) * _size);
                var place = position % CachePool.PageTokens;
                var target = (float*)table[position / CachePool.PageTokens] + ((long)head * CachePool.PageTokens * _size)
                    + (place / Block * (long)_size * Block) + (place % Block);
                for (var i = 0; i < _size; i++)
                {
                    target[(long)i * Block] = source[i];
                }
            }
        }

        return table;
    }
}
