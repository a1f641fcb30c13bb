using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;
using CoFrGeNet.Storage;

namespace CoFrGeNet.Training;

/// <summary>The figures of one seed.</summary>
/// <param name="Seed">The seed.</param>
/// <param name="BestEpoch">The epoch whose weights were kept, from 1.</param>
/// <param name="History">The main figure after each epoch.</param>
/// <param name="Validation">Figures on the validation examples.</param>
/// <param name="Tests">Figures on further sets, by name.</param>
public sealed record SeedReport(
    int Seed,
    int BestEpoch,
    IReadOnlyList<double> History,
    IReadOnlyDictionary<string, double> Validation,
    IReadOnlyDictionary<string, IReadOnlyDictionary<string, double>> Tests);

/// <summary>What a fine-tuning of a classifier found; the content of <c>metrics.json</c>.</summary>
public sealed record FineTuningReport
{
    private static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Name of the task.</summary>
    public required string Task { get; init; }

    /// <summary>The model that was started from.</summary>
    public required string Model { get; init; }

    /// <summary>The figure that chose epochs and the seed.</summary>
    public required string MainMetric { get; init; }

    /// <summary>Mean over the seeds; figures of further sets have the set's name and a dot before theirs.</summary>
    public required IReadOnlyDictionary<string, double> Mean { get; init; }

    /// <summary>Sample deviation over the seeds; null for one seed.</summary>
    public IReadOnlyDictionary<string, double>? Spread { get; init; }

    /// <summary>Accuracy on the validation examples of always giving the most frequent training label; null for a regression.</summary>
    public double? MajorityAccuracy { get; init; }

    /// <summary>Seed of the classifier that was kept.</summary>
    public required int BestSeed { get; init; }

    /// <summary>Each seed.</summary>
    public required IReadOnlyList<SeedReport> Seeds { get; init; }

    /// <summary>Number of training examples.</summary>
    public required int TrainingExamples { get; init; }

    /// <summary>Number of validation examples.</summary>
    public required int ValidationExamples { get; init; }

    /// <summary>Peak learning rate.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Most tokens of an example.</summary>
    public required int MaxLength { get; init; }

    /// <summary>How it was fine-tuned, as given.</summary>
    public required FineTuningConfig Config { get; init; }

    /// <summary>Puts seeds together.</summary>
    /// <param name="task">What was learnt.</param>
    /// <param name="sets">The examples.</param>
    /// <param name="config">How.</param>
    /// <param name="model">The model's shape.</param>
    /// <param name="folder">The model's folder.</param>
    /// <param name="outcomes">At least one seed.</param>
    public static FineTuningReport Of(
        ClassificationTask task, ClassificationSets sets, FineTuningConfig config, ModelConfig model, string folder, IReadOnlyList<ClassifierOutcome> outcomes)
    {
        var all = outcomes.Select(AllFigures).ToArray();
        var mean = all[0].Keys.ToDictionary(name => name, name => all.Average(figures => figures[name]));
        return new FineTuningReport
        {
            Task = task.Name,
            Model = Path.GetFullPath(folder),
            MainMetric = task.MainMetric,
            Mean = mean,
            Spread = all.Length < 2 ? null : mean.ToDictionary(
                entry => entry.Key, entry => Math.Sqrt(all.Sum(figures => Math.Pow(figures[entry.Key] - entry.Value, 2)) / (all.Length - 1))),
            MajorityAccuracy = task.IsRegression ? null : ClassifierScores.Majority(sets.Train, sets.Validation),
            BestSeed = outcomes.MaxBy(outcome => outcome.Validation.Figures[task.MainMetric])!.Seed,
            Seeds =
            [
                .. outcomes.Select(outcome => new SeedReport(
                    outcome.Seed, outcome.BestEpoch, outcome.History, outcome.Validation.Figures, outcome.Tests.ToDictionary(test => test.Key, test => test.Value.Figures))),
            ],
            TrainingExamples = sets.Train.Count,
            ValidationExamples = sets.Validation.Count,
            LearningRate = config.ResolveLearningRate(model),
            MaxLength = config.ResolveMaxLength(model),
            Config = config,
        };
    }

    /// <summary>Writes predictions, one JSON object an example.</summary>
    /// <param name="path">The file.</param>
    /// <param name="examples">The examples.</param>
    /// <param name="scores">What was predicted.</param>
    public static void WritePredictions(string path, IReadOnlyList<LabeledText> examples, ClassifierScores scores) => DurableFile.Write(path, stream =>
    {
        for (var i = 0; i < examples.Count; i++)
        {
            var line = new JsonObject { ["index"] = i, ["text"] = examples[i].Text, ["label"] = examples[i].Label, ["prediction"] = scores.Predictions[i] };
            stream.Write(System.Text.Encoding.UTF8.GetBytes(line.ToJsonString(Readable) + "\n"));
        }
    });

    private static Dictionary<string, double> AllFigures(ClassifierOutcome outcome) => outcome.Validation.Figures
        .Concat(outcome.Tests.SelectMany(test => test.Value.Figures.Select(figure => KeyValuePair.Create($"{test.Key}.{figure.Key}", figure.Value)))).ToDictionary();
}
