using System.Diagnostics;
using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;
using CoFrGeNet.Storage;
using CoFrGeNet.Training;
using TorchSharp;

namespace CoFrGeNet.Cli;

/// <summary>
/// The quickstart: finds the text, measures how many steps fit the time, trains the contestants one after the other on the same batches.
/// The plan is stored first, so that a run that was interrupted goes on with the same number of steps.
/// </summary>
internal sealed class QuickstartRun
{
    /// <summary>Marks a quickstart's folder and holds its plan.</summary>
    public const string PlanFile = "quickstart.json";

    // Of the time after the measurement: the rest goes to evaluation, checkpoints and samples.
    private const double TrainingShare = 0.82;
    private const double MeasuredSeconds = 3;
    private const int FewestSteps = 20;

    private readonly ToolConsole _console;
    private readonly string _folder;
    private readonly Stopwatch _clock = Stopwatch.StartNew();

    /// <summary>Creates the run.</summary>
    /// <param name="console">Where progress goes.</param>
    /// <param name="folder">Where everything is written.</param>
    public QuickstartRun(ToolConsole console, string folder)
    {
        _console = console;
        _folder = folder;
    }

    /// <summary>Seconds since it started.</summary>
    public double Seconds => _clock.Elapsed.TotalSeconds;

    /// <summary>What the text is.</summary>
    public string Description { get; private set; } = string.Empty;

    /// <summary>Trains everything.</summary>
    /// <param name="minutes">How long all of it may take.</param>
    /// <param name="steps">Optimizer steps; null: as many as fit the time.</param>
    /// <param name="data">The text; null: the SDK's documentation.</param>
    /// <param name="force">Whether an earlier quickstart in the folder may be deleted.</param>
    /// <param name="resume">Whether the plan in the folder is followed.</param>
    /// <param name="device">Where the models live.</param>
    /// <returns>The results, or null when it was stopped.</returns>
    public IReadOnlyList<ArmResult>? Run(double minutes, int? steps, string? data, bool force, bool resume, torch.Device device)
    {
        var plan = resume ? ReadPlan() : null;
        data = plan is null ? data : (string?)plan["data"];
        var arms = QuickstartArms.Build(data);
        _console.Error.WriteLine(arms[0].Config.Data.Source == DataConfig.SdkDocumentation ? "reading the .NET SDK's documentation" : $"reading {arms[0].Config.Data.Source}");
        var text = TextData.Load(arms[0].Config.Data);
        Description = text.Description;
        _console.Error.WriteLine($"{text.Description}: {text.Train.Count:N0} tokens to train on, {text.Validation.Count:N0} held out by document");
        if (plan is null)
        {
            // Only now, with a text that fits, may an earlier quickstart go.
            Trainer.CheckFit(arms[0].Config, text);
            RunFolder.PrepareEmpty(_folder, force, "or go on with --resume");
        }

        var runner = new ArmRunner(_folder, text, device);
        var count = plan is null ? steps ?? FittingSteps(arms, text, device, minutes) : (int)plan["steps"]!;
        if (plan is null)
        {
            StorePlan(count, data);
        }

        var results = new List<ArmResult>();
        foreach (var arm in Scaled(arms, count))
        {
            var display = new ProgressDisplay(_console, arm.Name);
            if (runner.Run(arm, display, _console.Stop) is not { } result)
            {
                display.Clear();
                return null;
            }

            display.Clear();
            results.Add(result);
        }

        return results;
    }

    private static IEnumerable<ComparisonArm> Scaled(IReadOnlyList<ComparisonArm> arms, int steps) => arms.Select(arm => arm with
    {
        Config = arm.Config with
        {
            Training = arm.Config.Training with
            {
                Steps = steps,
                EvaluateEvery = Math.Max(1, (steps + 4) / 5),
                CheckpointEvery = Math.Max(1, (steps + 2) / 3),
                LogEvery = Math.Clamp(steps / 100, 1, 10),
            },
        },
    });

    private int FittingSteps(IReadOnlyList<ComparisonArm> arms, TextData text, torch.Device device, double minutes)
    {
        var fixedConfig = Scaled(arms, 1000);
        var seconds = fixedConfig.Sum(arm => StepTime.Measure(arm.Config, text, MeasuredSeconds, device).Seconds);
        var fitting = (int)(((minutes * 60) - Seconds) * TrainingShare / seconds);
        var steps = Math.Max(FewestSteps, fitting);
        var tokens = (long)steps * arms[0].Config.Training.TokensPerStep;
        _console.Error.WriteLine($"{steps:N0} steps each, {tokens:N0} tokens: what fits {minutes:0.#} minutes on this machine; --steps {steps} repeats it exactly");
        return steps;
    }

    private JsonObject ReadPlan()
    {
        var path = Path.Combine(_folder, PlanFile);
        var plan = StrictJson.Parse(File.ReadAllText(path), path);
        return plan["steps"] is JsonValue steps && steps.TryGetValue<int>(out var count) && count > 0
            ? plan
            : throw new UserErrorException($"{path} has no number of steps, so it is damaged; start another quickstart in another --out.");
    }

    private void StorePlan(int steps, string? data) => DurableFile.Write(
        Path.Combine(_folder, PlanFile),
        System.Text.Encoding.UTF8.GetBytes(new JsonObject { ["steps"] = steps, ["data"] = data }.ToJsonString() + "\n"));
}
