using CoFrGeNet.Tests;
using CoFrGeNet.Text;
using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training.Tests.FineTuning;

public class ClassifierTrainingTests
{
    private static readonly ClassificationTask Task = new("custom", ["text"], [], ["label"], false, "accuracy");

    // The label is whether there is a q: one attention step away from the last token.
    private static LabeledText[] Examples(int count, int from = 0) =>
        [.. Enumerable.Range(from, count).Select(i => new LabeledText(i % 2 == 0 ? $"q{i}" : $"w{i}", null, i % 2 == 0 ? "with" : "without"))];

    [Theory]
    [InlineData(null)]
    [InlineData(4)]
    public void A_simple_rule_is_learnt_with_all_weights_and_with_additions(int? rank)
    {
        using var folder = Folder();
        var config = new FineTuningConfig { Epochs = 6, BatchSize = 8, LearningRate = 5e-3, MaxLength = 8, Lora = rank is { } r ? new LoraConfig(r, 16) : null };
        var sets = new ClassificationSets(Examples(80), Examples(40, 200), new Dictionary<string, IReadOnlyList<LabeledText>> { ["other"] = Examples(20, 300) });
        var (classifier, outcome) = ClassifierTraining.Run(folder.Root, Task, sets, config, 1, stop: TestContext.Current.CancellationToken);
        using (classifier)
        {
            Assert.Equal(6, outcome.History.Count);
            Assert.True(outcome.Validation.Figures["accuracy"] > 0.9, $"{outcome.Validation.Figures["accuracy"]}");
            Assert.Equal(outcome.History.Max(), outcome.Validation.Figures["accuracy"]);
            Assert.Equal(outcome.History[outcome.BestEpoch - 1], outcome.History.Max());
            Assert.True(outcome.Tests["other"].Figures["mcc"] > 0.8);
            Assert.DoesNotContain(classifier.state_dict().Keys, name => name.Contains("lora", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Equal_seeds_give_equal_classifiers_and_scratch_another_one()
    {
        using var folder = Folder();
        var config = new FineTuningConfig { Epochs = 1, BatchSize = 8, LearningRate = 1e-3, MaxLength = 8 };
        var first = Scores(folder, config, 1);
        Assert.Equal(first, Scores(folder, config, 1));
        Assert.NotEqual(first, Scores(folder, config, 2));
        Assert.NotEqual(first, Scores(folder, config with { FromScratch = true }, 1));
    }

    [Fact]
    public void Numbers_are_met_by_a_regression()
    {
        using var folder = Folder();
        LabeledText[] Numbers(int count, int from) => [.. Enumerable.Range(from, count).Select(i => new LabeledText(i % 2 == 0 ? $"q{i}" : $"w{i}", "x", i % 2 == 0 ? "1.5" : "4"))];
        var config = new FineTuningConfig { Epochs = 6, BatchSize = 8, LearningRate = 5e-3, MaxLength = 10 };
        var sets = new ClassificationSets(Numbers(80, 0), Numbers(30, 100), new Dictionary<string, IReadOnlyList<LabeledText>>());
        var (classifier, outcome) = ClassifierTraining.Run(
            folder.Root, ClassificationTask.Get("stsb"), sets, config, 1, stop: TestContext.Current.CancellationToken);
        using (classifier)
        {
            Assert.True(outcome.Validation.Figures["pearson"] > 0.9, $"{outcome.Validation.Figures["pearson"]}");
            Assert.True(outcome.Validation.Figures["spearman"] > 0.7);
        }
    }

    [Fact]
    public void A_strange_label_in_another_file_is_told()
    {
        using var folder = Folder();
        var sets = new ClassificationSets(Examples(8), [new("x", null, "maybe")], new Dictionary<string, IReadOnlyList<LabeledText>>());
        var error = Assert.Throws<UserErrorException>(() => ClassifierTraining.Run(folder.Root, Task, sets, new FineTuningConfig { Epochs = 1, MaxLength = 8 }, 1, stop: TestContext.Current.CancellationToken));
        Assert.Contains("'maybe' is none of the training labels with, without", error.Message);
    }

    [Fact]
    public void The_papers_learning_rates_are_the_defaults()
    {
        Assert.Equal(0.125e-4, new FineTuningConfig().ResolveLearningRate(TrainingSamples.Model("f")));
        Assert.Equal(0.125e-4, new FineTuningConfig().ResolveLearningRate(TrainingSamples.Model("u")));
        Assert.Equal(0.25e-4, new FineTuningConfig().ResolveLearningRate(TrainingSamples.Model()));
    }

    [Fact]
    public void The_learning_rate_rises_and_falls_on_straight_lines()
    {
        var schedule = new LearningRateSchedule(new FineTuningConfig { LearningRate = 1, WarmupShare = 0.1 }.ToTraining(TrainingSamples.Model(), 100, 1));
        Assert.Equal([0.1, 1, 1, 0.5], new[] { 0, 9, 10, 55 }.Select(schedule.At).Select(rate => Math.Round(rate, 10)));
        Assert.InRange(schedule.At(99), 0, 0.02);
    }

    private static float[][] Scores(TemporaryFolder folder, FineTuningConfig config, int seed)
    {
        var sets = new ClassificationSets(Examples(16), Examples(8, 100), new Dictionary<string, IReadOnlyList<LabeledText>>());
        var (classifier, _) = ClassifierTraining.Run(folder.Root, Task, sets, config, seed, stop: TestContext.Current.CancellationToken);
        using (classifier)
        {
            return [.. classifier.Predict(Examples(4))];
        }
    }

    private static TemporaryFolder Folder()
    {
        var folder = new TemporaryFolder();
        manual_seed(5);
        using var model = new LanguageModel(TrainingSamples.Model("f"));
        ModelFolder.Save(folder.Root, model, ByteTokenizer.Instance);
        return folder;
    }
}
