using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;

namespace CoFrGeNet.Inference;

/// <summary>One residual block: x + mixer(norm(x)), then x + feedForward(norm(x)). It does not know what it holds.</summary>
internal sealed unsafe class Block
{
    private readonly Norm _mixerNorm;
    private readonly Norm _feedForwardNorm;
    private readonly FeedForward _feedForward;
    private readonly Action<int> _mixerNormRow;
    private readonly Action<int> _feedForwardNormRow;
    private Pass _pass = null!;
    private float* _normed;
    private float* _residual;
    private int _stride;

    /// <summary>Builds a block.</summary>
    /// <param name="factory">Builds the parts.</param>
    /// <param name="name">The block's name.</param>
    /// <param name="config">What it holds.</param>
    public Block(ModuleFactory factory, string name, BlockConfig config)
    {
        _mixerNorm = factory.Norm($"{name}.mixer_norm");
        Mixer = factory.Mixer(config.Mixer, $"{name}.mixer");
        _feedForwardNorm = factory.Norm($"{name}.feed_forward_norm");
        _feedForward = factory.FeedForward(config.FeedForward, $"{name}.feed_forward");
        _mixerNormRow = row => Apply(_mixerNorm, row);
        _feedForwardNormRow = row => Apply(_feedForwardNorm, row);
    }

    /// <summary>The mixer.</summary>
    public TokenMixer Mixer { get; }

    /// <summary>Applies the block to the rows of a pass.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="normed">Working memory, [rows, stride].</param>
    /// <param name="residual">Input and result, [rows, stride].</param>
    /// <param name="stride">From a row to the next.</param>
    public void Forward(Pass pass, float* normed, float* residual, int stride)
    {
        _pass = pass;
        _normed = normed;
        _residual = residual;
        _stride = stride;
        pass.ForRows(_mixerNormRow);
        Show(LadderUse.Mixer);
        Mixer.Forward(pass, normed, residual, stride);
        pass.ForRows(_feedForwardNormRow);
        Show(LadderUse.FeedForward);
        _feedForward.Forward(pass, normed, residual, stride);
    }

    private void Show(string part)
    {
        if (_pass.Probe is { } probe)
        {
            probe.Part = part;
        }
    }

    private void Apply(Norm norm, int row) => norm.Apply(_pass.Kernels, _residual + ((nint)row * _stride), _normed + ((nint)row * _stride));
}
