using CoFrGeNet.Accounting;
using CoFrGeNet.Configuration;
using CoFrGeNet.Torch;
using CoFrGeNet.Training;
using static TorchSharp.torch;

namespace CoFrGeNet.Cli;

/// <summary>Training steps of one model on tokens drawn at random: forward, backward, clipping, AdamW.</summary>
internal sealed class TrainingWorkload : IDisposable
{
    private readonly LanguageModel _model;
    private readonly AdamW _optimizer;
    private readonly GradientClipper _clipper;
    private readonly Tensor _inputs;
    private readonly Tensor _targets;

    /// <summary>Builds the model and its optimizer.</summary>
    /// <param name="config">The model.</param>
    /// <param name="type">The type of the matrix products.</param>
    /// <param name="sequences">Sequences of the model's context length a step.</param>
    /// <param name="device">Where it computes.</param>
    public TrainingWorkload(ModelConfig config, ScalarType type, int sequences, Device device)
    {
        manual_seed(1);
        _model = new LanguageModel(config, device) { ComputeType = type };
        _model.train();
        var groups = ComponentGroup.Of(_model);
        Tokens = sequences * config.ContextLength;
        var training = new TrainingConfig { Steps = 1, TokensPerStep = Tokens, LearningRate = 1e-4, Seed = 1 };
        _optimizer = new AdamW(groups, training);
        _optimizer.Reserve();
        _clipper = new GradientClipper(groups, training.ComponentClipNorm, training.ClipNorm);
        _inputs = randint(0, config.VocabularySize, [sequences, config.ContextLength], dtype: ScalarType.Int64, device: device);
        _targets = randint(0, config.VocabularySize, [sequences, config.ContextLength], dtype: ScalarType.Int64, device: device);
        Operations = (double)FlopCount.Of(config).Training * Tokens;
    }

    /// <summary>Tokens of one step.</summary>
    public int Tokens { get; }

    /// <summary>Floating-point operations that one step needs (a multiply-add is two), nothing computed twice counted.</summary>
    public double Operations { get; }

    /// <summary>Takes one step, to its end: the loss is read when the update has been asked for.</summary>
    /// <returns>The loss before it, in nats a token.</returns>
    public double Step()
    {
        using var scope = NewDisposeScope();
        var loss = _model.Loss(_inputs, _targets);
        loss.backward();
        _optimizer.Step(1e-4, _clipper.Measure().Scales, clears: true);
        _optimizer.ClearGradients();
        return loss.item<float>();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _optimizer.Dispose();
        _model.Dispose();
        _inputs.Dispose();
        _targets.Dispose();
    }
}
