using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using CoFrGeNet.Evaluation;
using CoFrGeNet.Storage;
using CoFrGeNet.Torch;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>
/// Runs what a study still lacks, one run after the other. Each result is recorded before the next run begins; a run that was interrupted goes on from its
/// checkpoint; one that diverges is recorded as such. Several processes may work on one study if they share its results and its work folder: each run is claimed
/// by one of them.
/// </summary>
public sealed class StudyRunner
{
    private const int KeptCurvePoints = 60;
    private const string ClaimsFolder = "claims";
    private const string ResultsLock = "results.lock";

    private readonly StudyPlan _plan;
    private readonly TextData _data;
    private readonly StudyText _text;
    private readonly string _resultsFile;
    private readonly string _workFolder;
    private readonly ArmRunner _arms;
    private readonly Device? _device;

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
        _workFolder = workFolder;
        _device = device;
        _arms = new ArmRunner(workFolder, data, device);
        Results = Recorded();
        foreach (var arm in plan.Config.Arms)
        {
            Trainer.CheckFit(plan.ConfigOf(arm.Name), data);
        }
    }

    /// <summary>What is known: to this process since its last claim, run or report.</summary>
    public StudyResults Results { get; private set; }

    /// <summary>The next run that is needed, whoever is at it, or null where nothing is left to do.</summary>
    /// <param name="only">Names of the arms that are run; empty: all.</param>
    public StudyRunKey? Next(IReadOnlyCollection<string> only) => Missing(only).FirstOrDefault();

    /// <summary>Claims the next run that is needed and that no other process is at.</summary>
    /// <param name="only">Names of the arms that are run; empty: all.</param>
    /// <returns>The claim, held until it is disposed of or the process ends; null where nothing is left, or others are at all that is (<see cref="Next"/> tells which).</returns>
    public StudyClaim? Claim(IReadOnlyCollection<string> only)
    {
        var folder = Path.Combine(_workFolder, ClaimsFolder);
        Directory.CreateDirectory(folder);
        Results = Recorded();
        foreach (var key in Missing(only).ToArray())
        {
            if (FolderLock.TryTake(folder, $"{key}.lock") is not { } held)
            {
                continue;
            }

            // It may have been finished since the results were read.
            Results = Recorded();
            if (Results.Find(key) is null)
            {
                return new StudyClaim(key, held);
            }

            held.Dispose();
        }

        return null;
    }

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
            Machine = _device is { type: TorchSharp.DeviceType.CUDA } device ? $"{NativeEnvironment.CudaName(device)}, {Machine}" : Machine,
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
        Record(known => known.With(_plan, _text, run));
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
            using var model = ModelFolder.LoadModel(folder, _device);
            model.ComputeType = config.Training.Precision == ComputePrecision.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float32;
            var measured = Evaluation.Run(model, _data.Validation, config.Training.ResolveSequenceLength(config.Model), config.Training.EvaluationTokens);
            var after = run with { ValidationLoss = measured.Loss, BitsPerByte = measured.BitsPerByte, ValidationCurve = [new CurvePoint(run.Tokens, measured.Loss)] };
            Record(known => (known with { Runs = [.. known.Runs.Select(other => other.Key == run.Key ? after : other)] }).With(_plan, _text, null));
            count++;
        }

        return count;
    }

    /// <summary>Writes the results, and the study's document with its picture beside them.</summary>
    /// <param name="command">The command that goes on with the study, or repeats it.</param>
    public void Report(string command) => Record(known =>
    {
        StudyReport.Save(_plan, known, Path.GetDirectoryName(Path.GetFullPath(_resultsFile))!, command);
        return known;
    });

    private IEnumerable<StudyRunKey> Missing(IReadOnlyCollection<string> only) =>
        _plan.Runs(arm => Results.BestRate(_plan, arm), only).Where(key => Results.Find(key) is null);

    private StudyResults Recorded()
    {
        var results = StudyResults.Load(_resultsFile, _plan.Name);
        results.RequireSame(_plan, _text);
        return results.With(_plan, _text, null);
    }

    // What other processes have recorded meanwhile stays.
    private void Record(Func<StudyResults, StudyResults> change)
    {
        Directory.CreateDirectory(_workFolder);
        using var held = FolderLock.Await(_workFolder, ResultsLock);
        Results = change(Recorded());
        Results.Save(_resultsFile);
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
        using var model = ModelFolder.LoadModel(Path.Combine(_arms.FolderOf(key.ToString()), "final"), _device);
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

/// <summary>A run that this process is at; others pass it by.</summary>
public sealed class StudyClaim : IDisposable
{
    private readonly FolderLock _held;

    internal StudyClaim(StudyRunKey key, FolderLock held)
    {
        Key = key;
        _held = held;
    }

    /// <summary>Which run.</summary>
    public StudyRunKey Key { get; }

    /// <inheritdoc/>
    public void Dispose() => _held.Dispose();
}
