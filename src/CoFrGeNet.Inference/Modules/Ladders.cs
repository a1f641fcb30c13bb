using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;

namespace CoFrGeNet.Inference;

// Dimensions: L = ladders, d = depth, p = width.

/// <summary>An ensemble of projected ladders, z_j = f(W^(j) x): a product for each level, then one division a ladder.</summary>
internal sealed unsafe class Ladders
{
    private readonly LadderConstants _constants;
    private readonly Linear[] _levels;
    private readonly int _count;
    private readonly int _stride;
    private readonly float* _low;
    private readonly float* _high;

    /// <summary>Reads its tensors.</summary>
    /// <param name="weights">Where from.</param>
    /// <param name="name">Its name.</param>
    /// <param name="width">p.</param>
    /// <param name="config">Count, depth, guard, clipping.</param>
    public Ladders(WeightReader weights, string name, int width, LadderConfig config)
    {
        _constants = LadderConstants.Of(config.Depth, config.Guard);
        _count = config.Count;
        _stride = EngineKernels.Padded(_count);
        _levels = new Linear[config.Depth];
        for (var k = 0; k < _levels.Length; k++)
        {
            _levels[k] = new Linear(
                weights.Matrix($"{name}.levels.{k}", _count, width),
                config.Bias is null ? 0 : (nint)weights.Vector($"{name}.biases.{k}", _count));
        }

        if (config.ClipToTrainedRange)
        {
            var (low, high) = LadderBounds.Read(weights, $"{name}.range", _count, _count);
            _low = (float*)low;
            _high = (float*)high;
        }
    }

    /// <summary>Float32 values of a row's partial denominators.</summary>
    public long RowFloats => (long)_levels.Length * _stride;

    /// <summary>Takes the products of all levels into the next multiplication of a pass.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="a">Where the partial denominators of the first row go.</param>
    public void Enqueue(Pass pass, float* a)
    {
        for (var k = 0; k < _levels.Length; k++)
        {
            pass.Enqueue(_levels[k], a + ((nint)k * _stride), (nint)RowFloats);
        }
    }

    /// <summary>The ladders of a row.</summary>
    /// <param name="kernels">The kernels.</param>
    /// <param name="a">The row's partial denominators.</param>
    /// <param name="z">Receives the outputs, L in whole registers.</param>
    public void Evaluate(EngineKernels kernels, float* a, float* z) => kernels.Ladders(_constants, a, _stride, _count, _low, _high, z);

    /// <summary>Shows the ladders to whoever looks at the pass.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="a">The partial denominators of the first row.</param>
    public void Look(Pass pass, float* a)
    {
        // Apart from what follows, whose captured variables would be allocated on entry.
        if (pass.Probe is { } probe)
        {
            Show(pass, probe, a);
        }
    }

    private void Show(Pass pass, LadderProbe probe, float* a)
    {
        var outputs = new float[_stride];
        for (var row = 0; row < pass.Rows; row++, a += RowFloats)
        {
            fixed (float* z = outputs)
            {
                pass.Kernels.Ladders(_constants, a, _stride, _count, null, null, z);
            }

            var clipped = 0;
            for (var j = 0; j < _count && _low != null; j++)
            {
                clipped += outputs[j] < _low[j] || outputs[j] > _high[j] ? 1 : 0;
            }

            var of = a;
            probe.Add(_count, _levels.Length, clipped, ladder => Line(pass.Kernels, of, ladder));
        }
    }

    private LadderLine Line(EngineKernels kernels, float* a, int ladder)
    {
        var biases = new float[_levels.Length];
        var slopes = new float[_levels.Length];
        for (var k = 0; k < _levels.Length; k++)
        {
            biases[k] = _levels[k].Bias == 0 ? 0 : ((float*)_levels[k].Bias)[ladder];
            slopes[k] = a[((nint)k * _stride) + ladder] - biases[k];
        }

        return new LadderLine(LadderLine.With(kernels, _constants), slopes, biases, _low == null ? float.NegativeInfinity : _low[ladder], _high == null ? float.PositiveInfinity : _high[ladder]);
    }
}
