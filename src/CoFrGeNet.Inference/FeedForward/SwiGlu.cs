using CoFrGeNet.Configuration;

namespace CoFrGeNet.Inference;

/// <summary>Llama's feed-forward: W_down (SiLU(W_gate x) (.) W_up x).</summary>
internal sealed unsafe class SwiGlu : FeedForward
{
    private readonly Linear _gate;
    private readonly Linear _up;
    private readonly Linear _down;
    private readonly Action<int> _gateRow;
    private Pass _pass = null!;
    private float* _gates;
    private float* _hidden;
    private int _hiddenStride;

    /// <summary>Reads its tensors.</summary>
    /// <param name="weights">Where from.</param>
    /// <param name="name">Its name.</param>
    /// <param name="width">The model's width.</param>
    /// <param name="config">Hidden width.</param>
    public SwiGlu(WeightReader weights, string name, int width, SwiGluConfig config)
    {
        _gate = Linear.Read(weights, $"{name}.gate", config.HiddenSize, width);
        _up = Linear.Read(weights, $"{name}.up", config.HiddenSize, width);
        _down = Linear.Read(weights, $"{name}.down", width, config.HiddenSize);
        _gateRow = GateRow;
    }

    /// <inheritdoc/>
    public override void Forward(Pass pass, float* x, float* residual, int stride)
    {
        _pass = pass;
        _hiddenStride = EngineKernels.Padded(_up.Matrix.Outputs);
        _gates = pass.Arena.Take((long)pass.Rows * _hiddenStride);
        _hidden = pass.Arena.Take((long)pass.Rows * _hiddenStride);
        pass.Enqueue(_gate, _gates, _hiddenStride);
        pass.Enqueue(_up, _hidden, _hiddenStride);
        pass.Multiply(x, stride);
        pass.ForRows(_gateRow);
        pass.Enqueue(_down, residual, stride, adds: true);
        pass.Multiply(_gates, _hiddenStride);
    }

    private void GateRow(int row)
    {
        var place = (nint)row * _hiddenStride;
        _pass.Kernels.Gate(GateKind.Silu, _gates + place, _hidden + place, _hiddenStride);
    }
}
