using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Training.Tests.Configuration;

public class TrainingConfigTests
{
    // tiny: context 128.
    [Theory]
    [InlineData("training.steps=0", "training.steps is 0; allowed is 1 or more.")]
    [InlineData("training.sequenceLength=129", "training.sequenceLength is 129; allowed is 1 to 128.")]
    [InlineData("training.sequenceLength=0", "training.sequenceLength is 0; allowed is 1 to 128.")]
    [InlineData("training.tokensPerStep=100", "training.tokensPerStep is 100; allowed is a multiple of the sequence length 128, for example 128.")]
    [InlineData("training.tokensPerStep=1000", "training.tokensPerStep is 1000; allowed is a multiple of the sequence length 128, for example 896.")]
    [InlineData("training.microBatch=3", "training.microBatch is 3; allowed is a divisor of the 16 sequences of a step.")]
    [InlineData("training.microBatch=0", "training.microBatch is 0; allowed is a divisor of the 16 sequences of a step.")]
    [InlineData("training.learningRate=0", "training.learningRate is 0; allowed is a number above 0.")]
    [InlineData("training.minimumLearningRateShare=1.5", "training.minimumLearningRateShare is 1.5; allowed is 0 to 1.")]
    [InlineData("training.warmupSteps=1001", "training.warmupSteps is 1001; allowed is 0 to 1000.")]
    [InlineData("training.decayShare=-1", "training.decayShare is -1; allowed is 0 to 1.")]
    [InlineData("training.weightDecay=-1", "training.weightDecay is -1; allowed is 0 or more.")]
    [InlineData("training.beta1=1", "training.beta1 is 1; allowed is 0 or more, below 1.")]
    [InlineData("training.beta2=-0.5", "training.beta2 is -0.5; allowed is 0 or more, below 1.")]
    [InlineData("training.epsilon=0", "training.epsilon is 0; allowed is a number above 0.")]
    [InlineData("training.clipNorm=-1", "training.clipNorm is -1; allowed is 0 or more.")]
    [InlineData("training.componentClipNorm=-1", "training.componentClipNorm is -1; allowed is 0 or more.")]
    [InlineData("training.logEvery=0", "training.logEvery is 0; allowed is 1 or more.")]
    [InlineData("training.evaluateEvery=0", "training.evaluateEvery is 0; allowed is 1 or more.")]
    [InlineData("training.evaluationTokens=127", "training.evaluationTokens is 127; allowed is 128 or more.")]
    [InlineData("training.checkpointEvery=0", "training.checkpointEvery is 0; allowed is 1 or more.")]
    [InlineData("training.keepCheckpoints=0", "training.keepCheckpoints is 0; allowed is 1 or more.")]
    [InlineData("data.source=", "data.source is empty; allowed is 'sdk-docs' or a path.")]
    [InlineData("data.splitSeed=-1", "data.splitSeed is -1; allowed is 0 or more.")]
    [InlineData("data.validationFraction=1", "data.validationFraction is 1; allowed is a number above 0 and below 1.")]
    [InlineData("model.width=0", "model.width is 0; allowed is 1 to 1048576.")]
    public void A_value_out_of_range_is_named_with_what_is_allowed(string assignment, string message) =>
        Assert.Equal(message, Assert.Throws<UserErrorException>(() => Read(assignment).Validate()).Message);

    [Fact]
    public void Absent_parts_keep_their_defaults()
    {
        var root = new JsonObject { ["model"] = JsonSerializer.SerializeToNode(PresetLibrary.Get("tiny").Model, ConfigJsonContext.Default.ModelConfig) };
        var run = StrictJson.Read(root, TrainingJsonContext.Default.RunConfig, "run");
        Assert.Equal(new TrainingConfig(), run.Training);
        Assert.Equal(new DataConfig(), run.Data);
        root["training"] = new JsonObject { ["steps"] = 5 };
        Assert.Equal(new TrainingConfig { Steps = 5 }, StrictJson.Read(root, TrainingJsonContext.Default.RunConfig, "run").Training);
    }

    // 16 sequences of 128 fit a pass of 32,768 tokens; of 40 sequences of 1,024 at most 32 do, and 20 divides 40.
    [Theory]
    [InlineData(128, 2048, null, 16)]
    [InlineData(128, 2048, 4, 4)]
    [InlineData(1024, 40960, null, 20)]
    [InlineData(65536, 131072, null, 1)]
    public void A_step_is_one_pass_where_it_fits(int context, int tokens, int? given, int expected) =>
        Assert.Equal(expected, new TrainingConfig { TokensPerStep = tokens, MicroBatch = given }.ResolveMicroBatch(PresetLibrary.Get("tiny").Model with { ContextLength = context }));

    private static RunConfig Read(string assignment)
    {
        var run = new RunConfig { Model = PresetLibrary.Get("tiny").Model };
        var root = (JsonObject)JsonSerializer.SerializeToNode(run, TrainingJsonContext.Default.RunConfig)!;
        StrictJson.Set(root, assignment);
        return StrictJson.Read(root, TrainingJsonContext.Default.RunConfig, "run");
    }
}
