using CoFrGeNet.Configuration;
using CoFrGeNet.Tests;
using CoFrGeNet.Text;
using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training.Tests;

/// <summary>Runs of two layers x 16 on a few hundred bytes: a step takes milliseconds.</summary>
internal static class TrainingSamples
{
    public const int Context = 16;

    public static TextData Text { get; } = Data(string.Concat(Enumerable.Repeat("the quick brown fox jumps over the lazy dog. ", 30)));

    public static TextData Data(string text) => new(Corpus(text), Corpus("the lazy fox jumps over the quick brown dog. "), ByteTokenizer.Instance, "a sample");

    public static TokenizedCorpus Corpus(string text) => TokenizedCorpus.Create([new Document("sample", text)], ByteTokenizer.Instance);

    public static ModelConfig Model(string variant = "")
    {
        var preset = PresetLibrary.Get("tiny" + (variant.Length == 0 ? "" : "-" + variant)).Model;
        var block = preset.Blocks[0] with { Repeat = 2 };
        if (block.FeedForward is CffnConfig cffn)
        {
            // Depth 3 whatever the preset has, so that the schedule has three levels to free.
            block = block with { FeedForward = cffn with { Ladders = cffn.Ladders with { Count = 16, Depth = 3 } } };
        }

        return preset with { Width = 16, ContextLength = Context, Blocks = [block] };
    }

    public static RunConfig Run(string variant = "f", Func<TrainingConfig, TrainingConfig>? change = null)
    {
        var training = new TrainingConfig
        {
            Steps = 8,
            TokensPerStep = 4 * Context,
            EvaluationTokens = 2 * Context,
            LogEvery = 1,
            EvaluateEvery = 100,
            CheckpointEvery = 100,
            WarmupSteps = 2,
        };
        return new RunConfig { Model = Model(variant), Training = change?.Invoke(training) ?? training };
    }

    public static RunFolder Folder(TemporaryFolder parent, RunConfig config) => RunFolder.Create(parent.File("run"), config, force: false);

    /// <summary>Every parameter and buffer as bytes.</summary>
    public static Dictionary<string, byte[]> Weights(LanguageModel model) =>
        TensorWeights.Of(model).ToDictionary(entry => entry.Name, entry => entry.Tensor.bytes.ToArray());

    public static void AssertSameWeights(Dictionary<string, byte[]> expected, Dictionary<string, byte[]> actual)
    {
        Assert.Equal(expected.Keys.Order(), actual.Keys.Order());
        Assert.All(expected, entry => Assert.True(entry.Value.AsSpan().SequenceEqual(actual[entry.Key]), entry.Key));
    }

    /// <summary>Runs until the step given, or to the end.</summary>
    public static bool Train(this Trainer trainer, int? until = null) => trainer.Run(until, TestContext.Current.CancellationToken);

    public static double[] Values(Tensor x)
    {
        using var scope = NewDisposeScope();
        return x.detach().cpu().to(ScalarType.Float64).contiguous().data<double>().ToArray();
    }
}
