using CoFrGeNet.Configuration;
using CoFrGeNet.Torch;

namespace CoFrGeNet.Training;

/// <summary>How a model is fine-tuned.</summary>
public sealed record FineTuningConfig
{
    /// <summary>The paper's learning rate for models with continued fractions (PAPER section 3).</summary>
    public const double LadderModelLearningRate = 0.125e-4;

    /// <summary>The paper's learning rate for transformers.</summary>
    public const double TransformerLearningRate = 0.25e-4;

    // Low-rank additions start at zero and are few; ten times the rate is the custom. The paper has none.
    private const double LoraFactor = 10;

    /// <summary>Passes over the training examples.</summary>
    public int Epochs { get; init; } = 3;

    /// <summary>Examples an optimizer step.</summary>
    public int BatchSize { get; init; } = 32;

    /// <summary>Peak learning rate; absent: the paper's, by whether the model has ladders, and ten times that for LoRA.</summary>
    public double? LearningRate { get; init; }

    /// <summary>Share of the steps over which the learning rate rises; then it falls on a straight line to 0.</summary>
    public double WarmupShare { get; init; } = 0.06;

    /// <summary>AdamW's decay of matrices.</summary>
    public double WeightDecay { get; init; } = 0.01;

    /// <summary>Most tokens of an example; absent: 128, or the context length where that is less.</summary>
    public int? MaxLength { get; init; }

    /// <summary>Low-rank additions; absent: all weights are trained.</summary>
    public LoraConfig? Lora { get; init; }

    /// <summary>Whether training starts from freshly drawn weights of the same shape: the control that shows what pre-training gave.</summary>
    public bool FromScratch { get; init; }

    /// <summary>The learning rate with the default resolved.</summary>
    /// <param name="model">The model.</param>
    public double ResolveLearningRate(ModelConfig model) => LearningRate ?? DefaultLearningRate(model) * (Lora is null ? 1 : LoraFactor);

    /// <summary>The paper's fine-tuning rate for a model.</summary>
    /// <param name="model">The model.</param>
    public static double DefaultLearningRate(ModelConfig model) =>
        model.Layers.Any(layer => layer.Mixer is CAttnMConfig or CAttnUConfig || layer.FeedForward is CffnConfig) ? LadderModelLearningRate : TransformerLearningRate;

    /// <summary>Most tokens of an example with the default resolved.</summary>
    /// <param name="model">The model.</param>
    public int ResolveMaxLength(ModelConfig model) => MaxLength ?? Math.Min(128, model.ContextLength);

    /// <summary>Checks every member.</summary>
    /// <param name="model">The model.</param>
    /// <returns>This configuration.</returns>
    /// <exception cref="UserErrorException">A member is out of range.</exception>
    public FineTuningConfig Validate(ModelConfig model)
    {
        var check = new ConfigCheck("finetune");
        check.AtLeast(Epochs, 1, "epochs");
        check.AtLeast(BatchSize, 1, "batchSize");
        check.Above(ResolveLearningRate(model), 0, "learningRate");
        check.Between(WarmupShare, 0, 1, "warmupShare");
        check.AtLeast(WeightDecay, 0, "weightDecay");
        check.Between(ResolveMaxLength(model), 4, model.ContextLength, "maxLength");
        Lora?.Validate();
        return this;
    }

    /// <summary>The same as the optimizer and the schedule want it.</summary>
    internal TrainingConfig ToTraining(ModelConfig model, int steps, int seed) => new()
    {
        Steps = steps,
        LearningRate = ResolveLearningRate(model),
        MinimumLearningRateShare = 0,
        WarmupSteps = Math.Max(1, (int)Math.Round(steps * WarmupShare)),
        // A decay over all steps: straight from the peak to 0.
        Schedule = LearningRateShape.Wsd,
        DecayShare = 1,
        WeightDecay = WeightDecay,
        Beta2 = 0.999,
        Seed = seed,
    };
}
