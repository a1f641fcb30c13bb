using CoFrGeNet.Accounting;

namespace CoFrGeNet.Training;

/// <summary>What a run will take, known or measured before it starts.</summary>
/// <param name="Parameters">Parameters of the model.</param>
/// <param name="Steps">Optimizer steps.</param>
/// <param name="TokensPerStep">Tokens a step.</param>
/// <param name="SequencesPerPass">Sequences in one forward pass.</param>
/// <param name="TrainingTokens">Tokens of the training text.</param>
/// <param name="ValidationTokens">Tokens of the held-out text.</param>
/// <param name="MinimumMemoryBytes">Weights, gradients, both moments and the logits of one pass, in float32; activations come on top.</param>
/// <param name="MeasuredMemoryBytes">Peak memory of the process after the measured steps; null: nothing was measured.</param>
/// <param name="TokensPerSecond">Speed of the measured steps; null: nothing was measured.</param>
public sealed record RunPlan(
    ParameterCount Parameters,
    int Steps,
    int TokensPerStep,
    int SequencesPerPass,
    long TrainingTokens,
    long ValidationTokens,
    long MinimumMemoryBytes,
    long? MeasuredMemoryBytes,
    double? TokensPerSecond)
{
    private const double MeasuredSeconds = 1;

    // About 20 seconds on two cores: larger runs are planned from their numbers alone.
    private const double MostMeasuredFlops = 2e12;

    /// <summary>Tokens that the run sees.</summary>
    public long Tokens => (long)Steps * TokensPerStep;

    /// <summary>How often it sees its text.</summary>
    public double Epochs => (double)Tokens / TrainingTokens;

    /// <summary>Seconds of training, evaluation left out; null: nothing was measured.</summary>
    public double? Seconds => Tokens / TokensPerSecond;

    /// <summary>Plans a run, and measures a few of its steps where those are short. Nothing is written.</summary>
    /// <param name="config">The run.</param>
    /// <param name="data">Its text.</param>
    /// <param name="device">Where the model lives; null: the CPU.</param>
    /// <exception cref="UserErrorException">The configuration does not fit the text.</exception>
    public static RunPlan Of(RunConfig config, TextData data, TorchSharp.torch.Device? device = null)
    {
        Trainer.CheckFit(config, data);
        var training = config.Training;
        var count = ParameterCount.Of(config.Model);
        var sequences = training.ResolveMicroBatch(config.Model);
        var logits = (long)sequences * training.ResolveSequenceLength(config.Model) * config.Model.VocabularySize;
        var plan = new RunPlan(
            count, training.Steps, training.TokensPerStep, sequences, data.Train.Count, data.Validation.Count, (16 * count.Total) + (8 * logits), null, null);
        return (double)FlopCount.Of(config.Model).Training * training.TokensPerStep * StepTime.FewestSteps > MostMeasuredFlops
            ? plan
            : plan.With(StepTime.Measure(config, data, MeasuredSeconds, device));
    }

    private RunPlan With(StepTime time) => this with { TokensPerSecond = TokensPerStep / time.Seconds, MeasuredMemoryBytes = time.PeakMemoryBytes };
}
