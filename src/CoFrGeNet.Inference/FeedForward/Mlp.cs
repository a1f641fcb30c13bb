using CoFrGeNet.Configuration;

namespace CoFrGeNet.Inference;

/// <summary>GPT-2's feed-forward: W_2 GELU(W_1 x + b_1) + b_2.</summary>
internal sealed unsafe class Mlp : FeedForward
{
    private readonly Linear _up;
    private readonly Linear _down;
    private readonly Action<int> _bendRow;
    private Pass _pass = null!;
    private float* _hidden;
    private int _hiddenStride;

    /// <summary>Reads its tensors.</summary>
    /// <param name="weights">Where from.</param>
    /// <param name="name">Its name.</param>
    /// <param name="width">The model's width.</param>
    /// <param name="config">Hidden width and biases.</param>
    public Mlp(WeightReader weights, string name, int width, MlpConfig config)
    {
        var hidden = config.ResolveHiddenSize(width);
        _up = Linear.Read(weights, $"{name}.up", hidden, width, config.Bias);
        _down = Linear.Read(weights, $"{name}.down", width, hidden, config.Bias);
        _bendRow = row => _pass.Kernels.Gelu(_hidden + ((nint)row * _hiddenStride), _hiddenStride);
    }

    /// <inheritdoc/>
    public override void Forward(Pass pass, float* x, float* residual, int stride)
    {
        _pass = pass;
        _hiddenStride = EngineKernels.Padded(_up.Matrix.Outputs);
        _hidden = pass.Arena.Take((long)pass.Rows * _hiddenStride);
        pass.Enqueue(_up, _hidden, _hiddenStride);
        pass.Multiply(x, stride);
        pass.ForRows(_bendRow);
        pass.Enqueue(_down, residual, stride, adds: true);
        pass.Multiply(_hidden, _hiddenStride);
    }
}
