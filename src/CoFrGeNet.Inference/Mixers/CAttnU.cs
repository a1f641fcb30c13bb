using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Kernels;

namespace CoFrGeNet.Inference;

// Dimensions: T = context length, p = width, d = depth, i = position, e = ensemble (0, 1).

/// <summary>
/// CAttnU: y_e = w_e0 (.) x + f(w_e1 (.) x, ..) with weights of the position, O_i = (sum_j U_1[i, j] y_1[j]) (.) (sum_j U_2[i, j] y_2[j]). Rows of the triangles have nothing
/// in common, so no state of fixed size can stand for the tokens before: y_1 and y_2 are cached, and a token costs 2 i p multiply-adds, as in attention with 4 i p, but
/// without scores and their softmax. U_2 lies transposed in its file and is copied, 2 T (T + 1) bytes a layer; U_1 is read in place. Over distances, u is copied backwards,
/// so that a row of U is again a run of numbers. With input maps, x is A_e x of the ensemble. Forget gates fade U[i, j] by e^(c_i - c_j): of each token, c is cached too.
/// </summary>
internal sealed unsafe class CAttnU : TokenMixer
{
    private readonly int _width;
    private readonly int _contextLength;
    private readonly LadderConstants _constants;
    private readonly nint[] _levels;
    private readonly int _maps;
    private readonly Linear _inputs;
    private readonly int _gates;
    private readonly Linear _forget;
    private readonly TriangleCall _call;
    private readonly float* _low;
    private readonly float* _high;
    private readonly Action<int> _ensembleRow;
    private Pass _pass = null!;
    private float* _x;
    private int _xStride;
    private int _stride;

    /// <summary>Reads its tensors.</summary>
    /// <param name="weights">Where from.</param>
    /// <param name="name">Its name.</param>
    /// <param name="model">The model's width and context.</param>
    /// <param name="config">Depth, guard, clipping.</param>
    public CAttnU(WeightReader weights, string name, ModelConfig model, CAttnUConfig config)
    {
        (_width, _contextLength) = (model.Width, model.ContextLength);
        _constants = LadderConstants.Of(config.Depth - 1, config.Guard);
        _levels = new nint[config.Depth];
        _levels[0] = (nint)weights.Vector($"{name}.linear", 2, _contextLength);
        for (var k = 1; k < config.Depth; k++)
        {
            _levels[k] = (nint)weights.Vector($"{name}.levels.{k - 1}", 2, _contextLength);
        }

        _maps = config.InputMaps;
        if (_maps > 0)
        {
            _inputs = Linear.Read(weights, $"{name}.inputs", (long)_maps * _width, _width, config.InputBias);
        }

        if (config.ForgetGates)
        {
            _gates = 2 * config.Heads;
            _forget = Linear.Read(weights, $"{name}.forget", _gates, _width, bias: true);
        }

        _call = config.RelativePositions ? Distances(weights, name, config.Heads) : Triangles(weights, name);
        if (config.ClipToTrainedRange)
        {
            var (low, high) = LadderBounds.Read(weights, $"{name}.range", 2L * _contextLength, _contextLength, 2);
            _low = (float*)low;
            _high = (float*)high;
        }

        _ensembleRow = EnsembleRow;
    }

    /// <inheritdoc/>
    public override long PageFloats => CachePool.PageTokens * ((2L * EngineKernels.Padded(_width)) + _gates);

    private nint FadingOffset => PageOffset + (2 * CachePool.PageTokens * (nint)EngineKernels.Padded(_width));

    /// <inheritdoc/>
    public override void Forward(Pass pass, float* x, float* residual, int stride)
    {
        _pass = pass;
        _x = x;
        _xStride = stride;
        if (_maps > 0)
        {
            _xStride = EngineKernels.Padded(_inputs.Matrix.Outputs);
            _x = pass.Arena.Take((long)pass.Rows * _xStride);
            pass.Enqueue(_inputs, _x, _xStride);
        }

        float* gates = null;
        if (_gates > 0)
        {
            gates = pass.Arena.Take((long)pass.Rows * EngineKernels.Padded(_gates));
            pass.Enqueue(_forget, gates, EngineKernels.Padded(_gates));
        }

        if (_maps > 0 || _gates > 0)
        {
            pass.Multiply(x, stride);
        }

        _stride = stride;
        pass.ForRows(_ensembleRow);
        if (_gates > 0)
        {
            Fade(pass, gates);
        }

        Look(pass);
        var call = _call;
        call.FirstOffset = PageOffset;
        call.SecondOffset = PageOffset + ((nint)CachePool.PageTokens * stride);
        call.IsFading = _gates > 0;
        call.FadingOffset = FadingOffset;
        call.Stride = stride;
        call.Y = residual;
        call.YStride = stride;
        pass.MixTriangles(call);
    }

    private void EnsembleRow(int row)
    {
        var position = _pass.Position(row);
        var y = _pass.PageOf(row) + PageOffset + (position % CachePool.PageTokens * (nint)_stride);
        var weights = stackalloc float[_levels.Length];
        for (var ensemble = 0; ensemble < 2; ensemble++, y += (nint)CachePool.PageTokens * _stride)
        {
            for (var k = 0; k < _levels.Length; k++)
            {
                weights[k] = ((float*)_levels[k])[((nint)ensemble * _contextLength) + position];
            }

            var range = (2 * position) + ensemble;
            _pass.Kernels.UnivariateLadders(
                _constants,
                Input(row, ensemble),
                _width,
                weights,
                _low == null ? float.NegativeInfinity : _low[range],
                _high == null ? float.PositiveInfinity : _high[range],
                y);
        }
    }

    // c_i = c_(i-1) - ln(1 + e^v_i), token by token; a page holds [2 h, 64] of them.
    private void Fade(Pass pass, float* gates)
    {
        foreach (var segment in pass.Segments.AsSpan(0, pass.SegmentCount))
        {
            for (var i = 0; i < segment.Count; i++)
            {
                var position = segment.Position + i;
                var row = gates + ((nint)(segment.Row + i) * EngineKernels.Padded(_gates));
                for (var gate = 0; gate < _gates; gate++)
                {
                    var before = position == 0 ? 0 : *Faded(segment.Cache, gate, position - 1);
                    *Faded(segment.Cache, gate, position) = (float)(before - Continuant.Softplus((double)row[gate]));
                }
            }
        }
    }

    private float* Faded(SequenceCache cache, int gate, int position) =>
        (float*)cache.Pages[position / CachePool.PageTokens] + FadingOffset + ((nint)gate * CachePool.PageTokens) + (position % CachePool.PageTokens);

    // What an ensemble acts on: the row itself, or its share of what the input maps make of it.
    private float* Input(int row, int ensemble) => _x + ((nint)row * _xStride) + (_maps == 2 ? ensemble * _width : 0);

    private void Look(Pass pass)
    {
        // Apart from what follows, whose captured variables would be allocated on entry.
        if (pass.Probe is { } probe)
        {
            Show(pass, probe);
        }
    }

    // Ladder c of ensemble e, the one of channel c, has the number e p + c. Slow, since nobody waits for it.
    private void Show(Pass pass, LadderProbe probe)
    {
        var depth = _constants.Depth;
        var a = new float[depth * _stride];
        var z = new float[_stride];
        var evaluate = LadderLine.With(pass.Kernels, _constants);
        for (var row = 0; row < pass.Rows; row++)
        {
            var (at, position, clipped) = (row, pass.Position(row), 0);
            for (var ensemble = 0; ensemble < 2; ensemble++)
            {
                var x = Input(row, ensemble);
                for (var i = 0; i < depth * _width; i++)
                {
                    a[(i / _width * _stride) + (i % _width)] = Weight(i / _width, ensemble, position) * x[i % _width];
                }

                evaluate(a, _stride, z);
                var (low, high) = Range(ensemble, position);
                clipped += z.Take(_width).Count(value => value < low || value > high);
            }

            probe.Add(2 * _width, depth, clipped, ladder =>
            {
                var (ensemble, channel) = (ladder / _width, ladder % _width);
                var (low, high) = Range(ensemble, position);
                var slopes = Enumerable.Range(0, depth).Select(k => Weight(k, ensemble, position) * Input(at, ensemble)[channel]).ToArray();
                return new LadderLine(evaluate, slopes, new float[depth], low, high);
            });
        }
    }

    // Level 0 is the linear part.
    private float Weight(int level, int ensemble, int position) => ((float*)_levels[level + 1])[((nint)ensemble * _contextLength) + position];

    private (float Low, float High) Range(int ensemble, int position) =>
        _low == null ? (float.NegativeInfinity, float.PositiveInfinity) : (_low[(2 * position) + ensemble], _high[(2 * position) + ensemble]);

    // U_2[i, j] stands at [j, i + 1]; in its copy row i follows row i - 1.
    private TriangleCall Triangles(WeightReader weights, string name)
    {
        long rows = _contextLength;
        var triangles = weights.Vector($"{name}.triangles", rows, rows + 1);
        var second = weights.Allocate(rows * (rows + 1) / 2);
        var target = second;
        for (long i = 0; i < rows; i++)
        {
            for (long j = 0; j <= i; j++)
            {
                *target++ = triangles[(j * (rows + 1)) + i + 1];
            }
        }

        return new() { First = triangles, FirstRow = _contextLength + 1, Second = second, IsSecondPacked = true, Heads = 1, HeadSize = _width };
    }

    // u_(T-1) .. u_0 of every ensemble and head: row i begins T - 1 - i numbers in.
    private TriangleCall Distances(WeightReader weights, string name, int heads)
    {
        long count = _contextLength;
        var distances = weights.Vector($"{name}.distances", 2, heads, count);
        var backwards = weights.Allocate(2 * heads * count);
        for (var start = 0L; start < 2 * heads * count; start += count)
        {
            for (var distance = 0L; distance < count; distance++)
            {
                backwards[start + count - 1 - distance] = distances[start + distance];
            }
        }

        var first = backwards + count - 1;
        return new() { First = first, FirstRow = -1, Second = first + (heads * count), SecondRow = -1, Heads = heads, HeadSize = _width / heads, HeadStep = _contextLength };
    }
}
