using System.Text.Json.Serialization;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Training;

/// <summary>How the learning rate moves after the warm-up.</summary>
[JsonConverter(typeof(CamelCaseEnumConverter<LearningRateShape>))]
public enum LearningRateShape
{
    /// <summary>Half a cosine from the peak to the minimum.</summary>
    Cosine,

    /// <summary>The peak until the end.</summary>
    Constant,

    /// <summary>Warm-up, stable, decay: the peak, then a straight line to the minimum over the last part.</summary>
    Wsd,
}

/// <summary>The type of matrix products; weights and optimizer state are float32 in any case.</summary>
[JsonConverter(typeof(CamelCaseEnumConverter<ComputePrecision>))]
public enum ComputePrecision
{
    /// <summary>float32.</summary>
    Float32,

    /// <summary>bfloat16 products, float32 master weights.</summary>
    BFloat16,
}

/// <summary>When ladder parameters are trained.</summary>
[JsonConverter(typeof(CamelCaseEnumConverter<LadderSchedule>))]
public enum LadderSchedule
{
    /// <summary>From the first step.</summary>
    None,

    /// <summary>The paper's dyadic schedule: level i only in the last t / 2^i steps (PAPER section 2).</summary>
    Dyadic,

    /// <summary>The dyadic schedule, and until its first step a level is not there at all: ladders are cut to the levels that are trained.</summary>
    DyadicTruncated,
}

/// <summary>How a model is trained.</summary>
public sealed record TrainingConfig
{
    /// <summary>Number of optimizer steps t.</summary>
    public int Steps { get; init; } = 1000;

    /// <summary>Tokens that one optimizer step sees; a multiple of the sequence length.</summary>
    public int TokensPerStep { get; init; } = 2048;

    /// <summary>Length of training sequences in tokens; absent: the model's context length.</summary>
    public int? SequenceLength { get; init; }

    /// <summary>Sequences in one forward pass; the rest of a step is accumulated. Absent: a step in one pass, up to 32,768 tokens.</summary>
    public int? MicroBatch { get; init; }

    /// <summary>Peak learning rate.</summary>
    public double LearningRate { get; init; } = 2e-3;

    /// <summary>
    /// The learning rate of ladder weights as a share of that of all others; above 0. A ladder's output bends sharply with its partial
    /// denominators, so steps that suit a matrix are large for it.
    /// </summary>
    public double LadderLearningRateShare { get; init; } = 1.0;

    /// <summary>The learning rate at the end as a share of the peak.</summary>
    public double MinimumLearningRateShare { get; init; } = 0.1;

    /// <summary>Steps over which the learning rate rises from 0 to the peak; absent: a sixth of the steps, at most 500.</summary>
    public int? WarmupSteps { get; init; }

    /// <summary>How the learning rate moves after the warm-up.</summary>
    public LearningRateShape Schedule { get; init; } = LearningRateShape.Cosine;

    /// <summary>Share of the steps that the decay of <see cref="LearningRateShape.Wsd"/> takes.</summary>
    public double DecayShare { get; init; } = 0.2;

    /// <summary>AdamW's decay of matrices; vectors (norms, biases) are not decayed.</summary>
    public double WeightDecay { get; init; } = 0.1;

    /// <summary>AdamW's decay of the ladders' matrices; absent: that of all others.</summary>
    public double? LadderWeightDecay { get; init; }

    /// <summary>AdamW's decay of the mean of gradients.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>AdamW's decay of the mean of squared gradients.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>AdamW's epsilon.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Largest gradient norm of all parameters together; 0: no clipping.</summary>
    public double ClipNorm { get; init; } = 1.0;

    /// <summary>
    /// Largest gradient norm of one component of one layer (ladders, feed-forward, mixer ..), before the global clipping, so that one
    /// ladder at a pole does not starve the rest; 0: no clipping.
    /// </summary>
    public double ComponentClipNorm { get; init; } = 1.0;

    /// <summary>
    /// Largest gradient norm of the weights of one single ladder, before the other two, so that one ladder at a pole does not starve its neighbours; 0: no clipping.
    /// </summary>
    public double LadderClipNorm { get; init; }

    /// <summary>When ladder parameters are trained.</summary>
    public LadderSchedule LadderSchedule { get; init; } = LadderSchedule.None;

    /// <summary>The type of matrix products.</summary>
    public ComputePrecision Precision { get; init; } = ComputePrecision.Float32;

    /// <summary>Whether each block is computed again in the backward pass instead of keeping its activations: less memory, about a third more work.</summary>
    public bool CheckpointBlocks { get; init; }

    /// <summary>Seed of the initial weights and of the data order.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Steps between logged lines.</summary>
    public int LogEvery { get; init; } = 10;

    /// <summary>Steps between evaluations on the held-out text; there is one at the end in any case.</summary>
    public int EvaluateEvery { get; init; } = 250;

    /// <summary>Most tokens of held-out text that an evaluation reads.</summary>
    public int EvaluationTokens { get; init; } = 131072;

    /// <summary>Steps between checkpoints; there is one at the end and at an interruption in any case.</summary>
    public int CheckpointEvery { get; init; } = 250;

    /// <summary>How many of the newest checkpoints are kept.</summary>
    public int KeepCheckpoints { get; init; } = 2;

    /// <summary>Whether the checkpoint with the lowest validation loss is kept too, by the last evaluation before it.</summary>
    public bool KeepBestCheckpoint { get; init; } = true;

    /// <summary>Checkpoints whose step is a multiple of this are kept for good; 0: none.</summary>
    public int KeepCheckpointsEvery { get; init; }

    /// <summary>When a step is skipped because its loss or its gradient stands out.</summary>
    public SpikeConfig Spikes { get; init; } = new();

    /// <summary>How several processes train together.</summary>
    public DistributedConfig Distributed { get; init; } = new();

    /// <summary>Length of training sequences with the default resolved.</summary>
    /// <param name="model">The model.</param>
    public int ResolveSequenceLength(ModelConfig model) => SequenceLength ?? model.ContextLength;

    /// <summary>Warm-up steps with the default resolved.</summary>
    public int ResolveWarmupSteps() => WarmupSteps ?? Math.Clamp(Steps / 6, 1, 500);

    /// <summary>Sequences in one forward pass with the default resolved.</summary>
    /// <param name="model">The model.</param>
    public int ResolveMicroBatch(ModelConfig model)
    {
        var length = ResolveSequenceLength(model);
        var sequences = TokensPerStep / length;
        if (MicroBatch is { } given)
        {
            return given;
        }

        var largest = Math.Clamp(32768 / length, 1, sequences);
        return Enumerable.Range(1, largest).Last(size => sequences % size == 0);
    }

    internal void Check(ModelConfig model, ConfigCheck at)
    {
        at.AtLeast(Steps, 1, "steps");
        at.Between(ResolveSequenceLength(model), 1, model.ContextLength, "sequenceLength");
        var length = ResolveSequenceLength(model);
        at.That(
            TokensPerStep >= length && TokensPerStep % length == 0,
            "tokensPerStep",
            $"{TokensPerStep}",
            $"a multiple of the sequence length {length}, for example {Math.Max(1, TokensPerStep / length) * length}");
        if (MicroBatch is { } size)
        {
            var sequences = TokensPerStep / length;
            at.That(size >= 1 && sequences % size == 0, "microBatch", $"{size}", $"a divisor of the {sequences} sequences of a step");
        }

        at.Above(LearningRate, 0, "learningRate");
        at.Above(LadderLearningRateShare, 0, "ladderLearningRateShare");
        at.Between(MinimumLearningRateShare, 0, 1, "minimumLearningRateShare");
        at.Between(ResolveWarmupSteps(), 0, Steps, "warmupSteps");
        at.Between(DecayShare, 0, 1, "decayShare");
        at.AtLeast(WeightDecay, 0, "weightDecay");
        at.AtLeast(LadderWeightDecay ?? 0, 0, "ladderWeightDecay");
        at.That(Beta1 is >= 0 and < 1, "beta1", $"{Beta1}", "0 or more, below 1");
        at.That(Beta2 is >= 0 and < 1, "beta2", $"{Beta2}", "0 or more, below 1");
        at.Above(Epsilon, 0, "epsilon");
        at.AtLeast(ClipNorm, 0, "clipNorm");
        at.AtLeast(ComponentClipNorm, 0, "componentClipNorm");
        at.AtLeast(LadderClipNorm, 0, "ladderClipNorm");
        CheckSchedule(model, at);
        at.AtLeast(LogEvery, 1, "logEvery");
        at.AtLeast(EvaluateEvery, 1, "evaluateEvery");
        at.AtLeast(EvaluationTokens, length, "evaluationTokens");
        at.AtLeast(CheckpointEvery, 1, "checkpointEvery");
        at.AtLeast(KeepCheckpoints, 1, "keepCheckpoints");
        at.That(
            KeepCheckpointsEvery >= 0 && KeepCheckpointsEvery % CheckpointEvery == 0,
            "keepCheckpointsEvery",
            $"{KeepCheckpointsEvery}",
            $"0 (none) or a multiple of checkpointEvery, which is {CheckpointEvery}");
        Spikes.Check(at.Under("spikes"));
        Distributed.Check(at.Under("distributed"));
    }

    // A level that never becomes active would be cut off in training and be there in the model that is stored.
    private void CheckSchedule(ModelConfig model, ConfigCheck at)
    {
        var depth = model.Blocks.Select(block => Math.Max(
            block.Mixer switch { CAttnMConfig mixer => mixer.Ladders.Depth, CAttnUConfig mixer => mixer.Depth - 1, _ => 0 },
            block.FeedForward is CffnConfig cffn ? cffn.Ladders.Depth : 0)).DefaultIfEmpty().Max();
        at.That(
            LadderSchedule != LadderSchedule.DyadicTruncated || DyadicSchedule.FirstStep(Steps, depth) < Steps,
            "ladderSchedule",
            $"dyadicTruncated with {Steps} steps",
            $"dyadicTruncated with enough steps for all {depth} levels, {1L << depth} or more");
    }
}
