using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using CoFrGeNet.Evaluation;
using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>
/// Runs what a study still lacks, one run after the other. Each result is recorded before the next run begins; a run that was interrupted goes on from its
/// checkpoint; one that diverges is recorded as such.
/// </summary>
public sealed class StudyRunner
{
    private const int KeptCurvePoints = 60;

    private readonly StudyPlan _plan;
    private readonly TextData _data;
    private readonly StudyText _text;
    private readonly string _resultsFile;
    private readonly ArmRunner _arms;

    /// <summary>Prepares to go on with a study.</summary>
    /// <param name="plan">The study.</param>
    /// <param name="data">Its text.</param>
    /// <param name="resultsFile">Where results are recorded; what stands there is not run again.</param>
    /// <param name="workFolder">Where the run folders lie.</param>
    /// <param name="device">Where the models live; null: the CPU.</param>
    /// <exception cref="UserErrorException">The results there are of other arms or of another text.</exception>
    public StudyRunner(StudyPlan plan, TextData data, string resultsFile, string workFolder, Device? device = null)
    {
        _plan = plan;
        _data = data;
        _text = StudyText.Of(data);
        _resultsFile = resultsFile;
        _arms = new ArmRunner(workFolder, data, device);
        Results = StudyResults.Load(resultsFile, plan.Name);
        Results.RequireSame(plan, _text);
        Results = Results.With(plan, _text, null);
        foreach (var arm in plan.Config.Arms)
        {
            Trainer.CheckFit(plan.ConfigOf(arm.Name), data);
        }
    }

    /// <summary>What is known.</summary>
    public StudyResults Results { get; private set; }

    /// <summary>The next run that is needed, or null where nothing is left to do.</summary>
    /// <param name="only">Names of the arms that are run; empty: all.</param>
    public StudyRunKey? Next(IReadOnlyCollection<string> only) =>
        _plan.Runs(arm => Results.BestRate(_plan, arm), only).FirstOrDefault(key => Results.Find(key) is null);

    /// <summary>Does one run and records it.</summary>
    /// <param name="key">Which.</param>
    /// <param name="observer">Hears of every step.</param>
    /// <param name="stop">Asks for a checkpoint and a stop after the step at hand.</param>
    /// <returns>The run, or null when it was stopped.</returns>
    /// <exception cref="TrainingFailedException">The machine failed, a full disk for example; a run that diverged is no failure of the study.</exception>
    public StudyRun? Run(StudyRunKey key, ITrainingObserver? observer, CancellationToken stop)
    {
        var name = key.ToString();
        using var process = Process.GetCurrentProcess();
        var before = process.TotalProcessorTime;
        var run = new StudyRun
        {
            Arm = key.Arm,
            Seed = key.Seed,
            LearningRate = key.LearningRate,
            Threads = get_num_threads(),
            Date = DateTime.UtcNow.ToString("yyyy-MM-dd", System.Globalization.CultureInfo.InvariantCulture),
            Machine = Machine,
            Version = Version,
            Resumed = RunFolder.Exists(_arms.FolderOf(name)),
        };
        try
        {
            if (_arms.Run(new ComparisonArm(name, _plan.ConfigOf(key)), observer, stop) is not { } result)
            {
                return null;
            }

            run = Filled(run, result);
        }
        catch (TrainingFailedException e) when (e.InnerException is null)
        {
            // What came after it would only diverge again: the run ends where it does.
            run = run with { Failure = e.Message };
        }

        process.Refresh();
        run = run with { CpuSeconds = Math.Round((process.TotalProcessorTime - before).TotalSeconds, 1) };
        Results = Results.With(_plan, _text, run);
        Results.Save(_resultsFile);
        DeleteCheckpoints(name);
        return run;
    }

    /// <summary>
    /// Measures the models that recorded runs have left in the work folder on the held-out text again, without training, and records the losses; what was measured on the way there is dropped.
    /// </summary>
    /// <param name="stop">Asks for a stop after the model at hand.</param>
    /// <returns>How many were measured.</returns>
    public int MeasureAgain(CancellationToken stop)
    {
        var count = 0;
        foreach (var run in Results.Runs.Where(run => run.ValidationLoss is not null && _plan.Config.Arms.Any(arm => arm.Name == run.Arm)).ToArray())
        {
            var folder = Path.Combine(_arms.FolderOf(run.Key.ToString()), "final");
            if (stop.IsCancellationRequested || !Directory.Exists(folder))
            {
                continue;
            }

            var config = _plan.ConfigOf(run.Key);
            using var model = ModelFolder.LoadModel(folder);
            model.ComputeType = config.Training.Precision == ComputePrecision.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float32;
            var measured = Evaluation.Run(model, _data.Validation, config.Training.ResolveSequenceLength(config.Model), config.Training.EvaluationTokens);
            var after = run with { ValidationLoss = measured.Loss, BitsPerByte = measured.BitsPerByte, ValidationCurve = [new CurvePoint(run.Tokens, measured.Loss)] };
            Results = (Results with { Runs = [.. Results.Runs.Select(known => known == run ? after : known)] }).With(_plan, _text, null);
            count++;
        }

        Results.Save(_resultsFile);
        return count;
    }

    private static string Machine => $"{Environment.ProcessorCount} cores, {ProcessorName()}, {RuntimeInformation.OSDescription.Trim()}";

    private static string Version =>
        typeof(StudyRunner).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    private static string ProcessorName()
    {
        const string file = "/proc/cpuinfo";
        var line = File.Exists(file) ? File.ReadLines(file).FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal)) : null;
        return line?.Split(':', 2)[1].Trim() ?? RuntimeInformation.ProcessArchitecture.ToString();
    }

    private StudyRun Filled(StudyRun run, ArmResult result) => run with
    {
        ValidationLoss = double.IsFinite(result.ValidationLoss) ? result.ValidationLoss : null,
        BitsPerByte = double.IsFinite(result.BitsPerByte) ? result.BitsPerByte : null,
        Failure = double.IsFinite(result.ValidationLoss) ? null : "the validation loss is not a finite number",
        MaxGradientNorm = double.IsFinite(result.MaxGradientNorm) ? result.MaxGradientNorm : null,
        SkippedSteps = result.SkippedSteps,
        Tokens = result.Tokens,
        TokensPerSecond = double.IsFinite(result.TokensPerSecond) ? Math.Round(result.TokensPerSecond) : null,
        Copying = _plan.Config.Copying && double.IsFinite(result.ValidationLoss) ? Copying(run.Key) : null,
        ValidationCurve = result.ValidationCurve,
        TrainingCurve = Thinned(result.TrainingCurve),
    };

    private CopyingResult Copying(StudyRunKey key)
    {
        using var model = ModelFolder.LoadModel(Path.Combine(_arms.FolderOf(key.ToString()), "final"));
        return CopyingProbe.Measure(new TorchLanguageModel(model), _data.Validation);
    }

    // A curve is drawn a thousand dots wide at most, and the file is kept for good.
    private static IReadOnlyList<CurvePoint> Thinned(IReadOnlyList<CurvePoint> points)
    {
        var every = Math.Max(1, points.Count / KeptCurvePoints);
        return [.. points.Where((_, i) => i % every == every - 1).Select(point => point with { Loss = Math.Round(point.Loss, 4) })];
    }

    private void DeleteCheckpoints(string name)
    {
        var folder = Path.Combine(_arms.FolderOf(name), "checkpoints");
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
