using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;
using CoFrGeNet.Storage;

namespace CoFrGeNet.Training;

/// <summary>
/// What a study has found so far: its file in docs/results, which is also its memory. A run that stands there is not repeated, on this machine or another.
/// </summary>
public sealed record StudyResults
{
    /// <summary>The study's name.</summary>
    public required string Name { get; init; }

    /// <summary>Its heading.</summary>
    public string Title { get; init; } = string.Empty;

    /// <summary>Whether every run is done.</summary>
    public bool Complete { get; init; }

    /// <summary>The text that all runs were trained on; null before the first.</summary>
    public StudyText? Text { get; init; }

    /// <summary>The contestants with what they reached.</summary>
    public IReadOnlyList<StudyArmSummary> Arms { get; init; } = [];

    /// <summary>Every run, the failed ones too, in the order in which they ended.</summary>
    public IReadOnlyList<StudyRun> Runs { get; init; } = [];

    /// <summary>Reads what there is.</summary>
    /// <param name="path">The file; it may be missing.</param>
    /// <param name="name">The study's name.</param>
    /// <exception cref="UserErrorException">The file is damaged.</exception>
    public static StudyResults Load(string path, string name) => File.Exists(path)
        ? StrictJson.Read(StrictJson.Parse(File.ReadAllText(path), path), TrainingJsonContext.Default.StudyResults, path)
        : new StudyResults { Name = name };

    /// <summary>Writes the file; what was there before stays whole until this is.</summary>
    /// <param name="path">The file.</param>
    public void Save(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        DurableFile.Write(path, file =>
        {
            JsonSerializer.Serialize(file, this, TrainingJsonContext.Default.StudyResults);
            file.WriteByte((byte)'\n');
        });
    }

    /// <summary>The run, or null.</summary>
    /// <param name="key">Arm, seed and learning rate.</param>
    public StudyRun? Find(StudyRunKey key) => Runs.FirstOrDefault(run => run.Key == key);

    /// <summary>The learning rate with the least loss at the first seed; null while the grid is not complete, or if every run of it failed. A single rate is the best one whatever becomes of it.</summary>
    /// <param name="plan">The study.</param>
    /// <param name="arm">The arm's name.</param>
    public double? BestRate(StudyPlan plan, string arm)
    {
        if (plan.Config.LearningRates is [var only])
        {
            return only;
        }

        var grid = plan.Config.LearningRates.Select(rate => Find(new StudyRunKey(arm, plan.FirstSeed, rate))).ToArray();
        return grid.All(run => run is not null)
            ? grid.Where(run => run!.ValidationLoss is not null).MinBy(run => run!.ValidationLoss)?.LearningRate
            : null;
    }

    /// <summary>Refuses to go on with a study whose arms, schedule or text are others than those of the runs that are recorded.</summary>
    /// <param name="plan">The study.</param>
    /// <param name="text">Its text.</param>
    /// <exception cref="UserErrorException">Something differs; the message names it.</exception>
    public void RequireSame(StudyPlan plan, StudyText text)
    {
        if (Runs.Count > 0 && Text is { } before && before != text)
        {
            throw new UserErrorException(
                $"The runs recorded for {Name} saw another text ({before.TrainTokens:N0} tokens, fingerprint {before.Fingerprint}) than the one given ({text.TrainTokens:N0}, {text.Fingerprint}); give that text, or copy the study to a file of another name.");
        }

        foreach (var arm in Arms.Where(arm => arm.Config is not null && Runs.Any(run => run.Arm == arm.Name) && plan.Config.Arms.Any(known => known.Name == arm.Name)))
        {
            if (Recorded(arm) != Comparable(plan.ConfigOf(arm.Name)))
            {
                throw new UserErrorException(
                    $"Arm {arm.Name} of {Name} has runs with another configuration than the study gives it now; name the changed arm differently, or restore it, so that no result is lost or mixed up.");
            }
        }
    }

    /// <summary>The results with one more run, and everything that follows from the runs computed anew.</summary>
    /// <param name="plan">The study.</param>
    /// <param name="text">Its text.</param>
    /// <param name="run">The run; null: none is added.</param>
    public StudyResults With(StudyPlan plan, StudyText text, StudyRun? run)
    {
        var results = this with { Title = plan.Config.Title, Text = text, Runs = run is null ? Runs : [.. Runs, run] };
        // Arms that the study no longer has keep their place: their runs were paid for.
        var gone = Arms.Where(arm => plan.Config.Arms.All(known => known.Name != arm.Name));
        return results with
        {
            Arms = [.. plan.Config.Arms.Select(arm => StudyArmSummary.Of(plan, arm, results)), .. gone],
            Complete = plan.Runs(arm => results.BestRate(plan, arm), []).All(key => results.Find(key) is not null)
                && plan.Config.Arms.All(arm => plan.Config.LearningRates.All(rate => results.Find(new StudyRunKey(arm.Name, plan.FirstSeed, rate)) is not null)),
        };
    }

    /// <summary>What of a run's configuration makes an arm: not where its text lies, nor the rate and the seed that vary.</summary>
    /// <param name="config">The configuration.</param>
    internal static RunConfig Comparable(RunConfig config) => config with
    {
        Data = new DataConfig(),
        Training = config.Training with { LearningRate = 1, Seed = 0, CheckpointEvery = 1, KeepCheckpoints = 1, LogEvery = 1, EvaluateEvery = 1, MicroBatch = null },
    };

    // Read with today's defaults, so that a member which the configuration has gained since then changes nothing.
    private static RunConfig Recorded(StudyArmSummary arm) => Comparable(StrictJson.Read(
        new JsonObject { ["model"] = arm.Config!["model"]!.DeepClone(), ["training"] = arm.Config["training"]!.DeepClone() },
        TrainingJsonContext.Default.RunConfig,
        $"arm {arm.Name}"));
}

/// <summary>Which text a study was run on; without its place, so that another machine may have it elsewhere.</summary>
/// <param name="Tokenizer">Name of its tokenizer.</param>
/// <param name="Vocabulary">Number of its ids.</param>
/// <param name="TrainTokens">Tokens to train on.</param>
/// <param name="ValidationTokens">Tokens held out.</param>
/// <param name="Fingerprint">Names the training tokens.</param>
public sealed record StudyText(string Tokenizer, int Vocabulary, long TrainTokens, long ValidationTokens, string Fingerprint)
{
    /// <summary>Describes a text.</summary>
    /// <param name="data">The text.</param>
    public static StudyText Of(TextData data) =>
        new(Path.GetFileName(data.Tokenizer.Name), data.Tokenizer.VocabularySize, data.Train.Count, data.Validation.Count, data.Fingerprint);
}
