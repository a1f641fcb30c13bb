using CoFrGeNet.Configuration;
using CoFrGeNet.Torch.Native;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>One residual block: x + mixer(norm(x)), then x + feedForward(norm(x)). It does not know what it holds.</summary>
public sealed class Block : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "mixer_norm")]
    private readonly nn.Module<Tensor, Tensor> _mixerNorm;

    [ComponentName(Name = "mixer")]
    private TokenMixer _mixer;

    [ComponentName(Name = "feed_forward_norm")]
    private readonly nn.Module<Tensor, Tensor> _feedForwardNorm;

    [ComponentName(Name = "feed_forward")]
    private nn.Module<Tensor, Tensor> _feedForward;

    /// <summary>Builds a block.</summary>
    /// <param name="model">The model around it.</param>
    /// <param name="config">Its mixer and feed-forward.</param>
    /// <param name="options">Where the parameters live and how they are drawn.</param>
    public Block(ModelConfig model, BlockConfig config, ModuleOptions options)
        : this(
            ModuleFactory.Norm(model.Norm, model.Width, options),
            ModuleFactory.Mixer(config.Mixer, model.Width, model.ContextLength, options),
            ModuleFactory.Norm(model.Norm, model.Width, options),
            ModuleFactory.FeedForward(config.FeedForward, model.Width, options))
    {
    }

    /// <summary>Joins existing parts into a block.</summary>
    /// <param name="mixerNorm">Norm before the mixer.</param>
    /// <param name="mixer">The mixer.</param>
    /// <param name="feedForwardNorm">Norm before the feed-forward.</param>
    /// <param name="feedForward">The feed-forward.</param>
    public Block(
        nn.Module<Tensor, Tensor> mixerNorm,
        TokenMixer mixer,
        nn.Module<Tensor, Tensor> feedForwardNorm,
        nn.Module<Tensor, Tensor> feedForward)
        : base(nameof(Block))
    {
        _mixerNorm = mixerNorm;
        _mixer = mixer;
        _feedForwardNorm = feedForwardNorm;
        _feedForward = feedForward;
        RegisterComponents();
    }

    /// <summary>The mixer.</summary>
    public TokenMixer Mixer => _mixer;

    /// <summary>The feed-forward.</summary>
    public nn.Module<Tensor, Tensor> FeedForward => _feedForward;

    /// <summary>Applies the block to a whole sequence.</summary>
    /// <param name="x">[B, T, p].</param>
    public override Tensor forward(Tensor x) => forward(x, null);

    /// <summary>Applies the block to the continuation of what a cache holds.</summary>
    /// <param name="x">[B, t, p].</param>
    /// <param name="cache">The mixer's cache, or null.</param>
    public Tensor forward(Tensor x, MixerCache? cache)
    {
        using var scope = NewDisposeScope();
        x = x.Plus(_mixer.forward(_mixerNorm.forward(x), cache));
        x = x.Plus(_feedForward.forward(_feedForwardNorm.forward(x)));
        return x.MoveToOuterDisposeScope();
    }

    /// <summary>Puts other parts in place of the mixer or the feed-forward, in this block's mode; null keeps a part.</summary>
    internal void Replace(TokenMixer? mixer, nn.Module<Tensor, Tensor>? feedForward)
    {
        mixer?.train(training);
        feedForward?.train(training);
        _mixer = mixer ?? _mixer;
        _feedForward = feedForward ?? _feedForward;
        // TorchSharp cannot exchange a submodule: all are taken off and put back, so that parameters keep their order.
        (string Name, nn.Module Part)[] parts =
            [("mixer_norm", _mixerNorm), ("mixer", _mixer), ("feed_forward_norm", _feedForwardNorm), ("feed_forward", _feedForward)];
        foreach (var (name, _) in parts)
        {
            register_module(name, null!);
        }

        foreach (var (name, part) in parts)
        {
            register_module(name, part);
        }
    }
}
