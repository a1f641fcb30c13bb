using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Accounting;

namespace CoFrGeNet.Training;

/// <summary>What an arm reached, over its runs at its best learning rate.</summary>
public sealed record StudyArmSummary
{
    /// <summary>The arm.</summary>
    public required string Name { get; init; }

    /// <summary>What it is.</summary>
    public string? Note { get; init; }

    /// <summary>All parameters.</summary>
    public long Parameters { get; init; }

    /// <summary>Parameters inside the blocks.</summary>
    public long BlockParameters { get; init; }

    /// <summary>Block parameters as a share of the first reference's.</summary>
    public double BlockShare { get; init; }

    /// <summary>Seeds whose runs at the best rate are complete.</summary>
    public IReadOnlyList<int> Seeds { get; init; } = [];

    /// <summary>Seeds whose runs at the best rate failed.</summary>
    public IReadOnlyList<int> FailedSeeds { get; init; } = [];

    /// <summary>The best learning rate at the first seed; null while the grid is not complete.</summary>
    public double? LearningRate { get; init; }

    /// <summary>Whether the best rate is the lowest or highest of several, so that a better one may lie outside the grid.</summary>
    public bool RateAtEdge { get; init; }

    /// <summary>Training tokens of a run.</summary>
    public long Tokens { get; init; }

    /// <summary>Mean validation loss over the seeds, nats a token; null while the grid is not complete.</summary>
    public double? MeanLoss { get; init; }

    /// <summary>Standard deviation over the seeds, n - 1 in its denominator; null for fewer than two.</summary>
    public double? Spread { get; init; }

    /// <summary>Mean bits per byte over the seeds.</summary>
    public double? BitsPerByte { get; init; }

    /// <summary>Largest gradient norm after the warm-up of any of these runs.</summary>
    public double? MaxGradientNorm { get; init; }

    /// <summary>Skipped steps of these runs together.</summary>
    public int SkippedSteps { get; init; }

    /// <summary>Processor seconds of a run, the mean over those that were not interrupted; null: none.</summary>
    public double? CpuSeconds { get; init; }

    /// <summary>The resolved model and training, the learning rate and the seed those of the first run.</summary>
    public JsonObject? Config { get; init; }

    /// <summary>Sums up an arm.</summary>
    /// <param name="plan">The study.</param>
    /// <param name="arm">The arm.</param>
    /// <param name="results">The runs.</param>
    public static StudyArmSummary Of(StudyPlan plan, StudyArm arm, StudyResults results)
    {
        var config = plan.ConfigOf(arm.Name);
        var count = ParameterCount.Of(config.Model);
        var best = results.BestRate(plan, arm.Name);
        var runs = results.Runs.Where(run => run.Arm == arm.Name && run.LearningRate.Equals(best)).OrderBy(run => run.Seed).ToArray();
        var complete = runs.Where(run => run.ValidationLoss is not null).ToArray();
        var losses = complete.Select(run => run.ValidationLoss!.Value).ToArray();
        var timed = results.Runs.Where(run => run.Arm == arm.Name && run is { Failure: null, Resumed: false }).Select(run => run.CpuSeconds).ToArray();
        return new StudyArmSummary
        {
            Name = arm.Name,
            Note = arm.Note,
            Parameters = count.Total,
            BlockParameters = count.BlockParameters,
            BlockShare = (double)count.BlockParameters / ParameterCount.Of(plan.ConfigOf(plan.Config.ResolveReferences()[0]).Model).BlockParameters,
            Seeds = [.. complete.Select(run => run.Seed)],
            FailedSeeds = [.. runs.Where(run => run.ValidationLoss is null).Select(run => run.Seed)],
            LearningRate = best,
            RateAtEdge = best is { } rate && plan.Config.LearningRates.Count > 1 && (rate.Equals(plan.Config.LearningRates.Min()) || rate.Equals(plan.Config.LearningRates.Max())),
            Tokens = plan.Tokens,
            MeanLoss = losses.Length == 0 ? null : losses.Average(),
            Spread = losses.Length < 2 ? null : Deviation(losses),
            BitsPerByte = losses.Length == 0 ? null : complete.Average(run => run.BitsPerByte),
            MaxGradientNorm = complete.Max(run => run.MaxGradientNorm),
            SkippedSteps = runs.Sum(run => run.SkippedSteps),
            CpuSeconds = timed.Length == 0 ? null : Math.Round(timed.Average(), 1),
            Config = Tree(config),
        };
    }

    /// <summary>The standard deviation of a sample, n - 1 in its denominator.</summary>
    internal static double Deviation(double[] values)
    {
        var mean = values.Average();
        return Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Length - 1));
    }

    // Without the text, whose path is this machine's.
    private static JsonObject Tree(RunConfig config)
    {
        var tree = (JsonObject)JsonSerializer.SerializeToNode(config, TrainingJsonContext.Default.RunConfig)!;
        tree.Remove("data");
        return tree;
    }
}
