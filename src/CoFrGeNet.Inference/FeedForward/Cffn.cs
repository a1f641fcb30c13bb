using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;

namespace CoFrGeNet.Inference;

// Dimensions: p = width, L = ladders, d = depth.

/// <summary>
/// The continued-fraction feed-forward, y = U g + V z(g) with the gated input g = x (.) gate(G x), its ladders projected or elementwise, and the control without
/// ladders, y = U g.
/// </summary>
internal sealed unsafe class Cffn : FeedForward
{
    private readonly GateKind _kind;
    private readonly bool _linearOnGated;
    private readonly int _width;
    private readonly Linear _gate;
    private readonly Linear _linear;
    private readonly Ladders? _ladders;
    private readonly Linear _combine;
    private readonly LadderConstants _constants;
    private readonly ElementwiseParameters? _elementwise;
    private readonly Action<int> _gateRow;
    private readonly Action<int> _ladderRow;
    private readonly Action<int> _elementwiseRow;
    private Pass _pass = null!;
    private float* _x;
    private float* _gated;
    private float* _residual;
    private float* _denominators;
    private float* _outputs;
    private int _outputStride;
    private int _stride;

    /// <summary>Reads the tensors of the control without ladders.</summary>
    public Cffn(WeightReader weights, string name, int width, GatedLinearConfig config)
        : this(weights, name, width, config.Gate, linearOnGated: true)
    {
    }

    /// <summary>Reads the tensors of the feed-forward.</summary>
    public Cffn(WeightReader weights, string name, int width, CffnConfig config)
        : this(weights, name, width, config.Gate, config.LinearOnGated)
    {
        if (config.Ladders.Kind == LadderKind.Projected)
        {
            _ladders = new Ladders(weights, $"{name}.ladders", width, config.Ladders);
            _combine = Linear.Read(weights, $"{name}.combine", width, config.Ladders.Count);
            return;
        }

        _constants = LadderConstants.Of(config.Ladders.Depth, config.Ladders.Guard);
        _elementwise = ElementwiseReader.Read(weights, name, width, config.Ladders);
    }

    private Cffn(WeightReader weights, string name, int width, GateKind kind, bool linearOnGated)
    {
        (_kind, _width, _linearOnGated) = (kind, width, linearOnGated);
        _gate = Linear.Read(weights, $"{name}.gate", width, width);
        _linear = Linear.Read(weights, $"{name}.linear", width, width);
        (_gateRow, _ladderRow, _elementwiseRow) = (GateRow, LadderRow, ElementwiseRow);
    }

    /// <inheritdoc/>
    public override void Forward(Pass pass, float* x, float* residual, int stride)
    {
        _pass = pass;
        _x = x;
        _residual = residual;
        _stride = stride;
        _gated = pass.Arena.Take((long)pass.Rows * stride);
        pass.Enqueue(_gate, _gated, stride);
        pass.Multiply(x, stride);
        pass.ForRows(_gateRow);
        if (!_linearOnGated)
        {
            pass.Enqueue(_linear, residual, stride, adds: true);
            pass.Multiply(x, stride);
        }
        else
        {
            pass.Enqueue(_linear, residual, stride, adds: true);
        }

        if (_ladders is not null)
        {
            _denominators = pass.Arena.Take(pass.Rows * _ladders.RowFloats);
            _ladders.Enqueue(pass, _denominators);
        }

        if (_linearOnGated || _ladders is not null)
        {
            pass.Multiply(_gated, stride);
        }

        if (_ladders is not null)
        {
            _outputStride = EngineKernels.Padded(_combine.Matrix.Inputs);
            _outputs = pass.Arena.Take((long)pass.Rows * _outputStride);
            pass.ForRows(_ladderRow);
            _ladders.Look(pass, _denominators);
            pass.Enqueue(_combine, residual, stride, adds: true);
            pass.Multiply(_outputs, _outputStride);
        }
        else if (_elementwise is not null)
        {
            pass.ForRows(_elementwiseRow);
            ElementwiseLook.At(pass, _constants, _elementwise.Value, _width, _gated, stride);
        }
    }

    private void GateRow(int row) => _pass.Kernels.Gate(_kind, _gated + ((nint)row * _stride), _x + ((nint)row * _stride), _stride);

    private void LadderRow(int row) =>
        _ladders!.Evaluate(_pass.Kernels, _denominators + (row * _ladders.RowFloats), _outputs + ((nint)row * _outputStride));

    private void ElementwiseRow(int row) =>
        _pass.Kernels.ElementwiseLadders(_constants, _elementwise!.Value, _gated + ((nint)row * _stride), _residual + ((nint)row * _stride));
}
