using System.Text.Json;
using CoFrGeNet.Accounting;
using CoFrGeNet.Configuration;
using CoFrGeNet.Storage;
using CoFrGeNet.Torch;
using CoFrGeNet.Torch.Native;

namespace CoFrGeNet.Training;

/// <summary>
/// Trains the contestants of a comparison one after the other, each in a run folder of its own under one parent. A contestant that is
/// finished is not trained again, one that was interrupted goes on.
/// </summary>
public sealed class ArmRunner
{
    private const string ResultFile = "result.json";

    private readonly string _folder;
    private readonly TextData _data;

    /// <summary>Creates the runner.</summary>
    /// <param name="folder">The parent folder.</param>
    /// <param name="data">The text, the same for all.</param>
    public ArmRunner(string folder, TextData data)
    {
        _folder = folder;
        _data = data;
    }

    /// <summary>Measures how long a step takes, on throw-away models.</summary>
    /// <param name="arm">The contestant.</param>
    /// <param name="data">The text.</param>
    /// <param name="seconds">How long to measure, after two steps of warm-up.</param>
    /// <returns>Seconds a step.</returns>
    public static double SecondsPerStep(ComparisonArm arm, TextData data, double seconds)
    {
        using var trainer = new Trainer(arm.Config, data);
        trainer.Warm(2);
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var steps = 0;
        do
        {
            trainer.Warm(1);
            steps++;
        }
        while (clock.Elapsed.TotalSeconds < seconds);
        return clock.Elapsed.TotalSeconds / steps;
    }

    /// <summary>The run folder of a contestant.</summary>
    /// <param name="name">Its name.</param>
    public string FolderOf(string name) => Path.Combine(_folder, name);

    /// <summary>Trains one contestant, or goes on with it, or reads the result that it left.</summary>
    /// <param name="arm">The contestant.</param>
    /// <param name="observer">Hears of every step.</param>
    /// <param name="stop">Asks for a stop after the step at hand.</param>
    /// <returns>The result, or null when it was stopped.</returns>
    public ArmResult? Run(ComparisonArm arm, ITrainingObserver? observer, CancellationToken stop)
    {
        var path = FolderOf(arm.Name);
        var resultPath = Path.Combine(path, ResultFile);
        if (File.Exists(resultPath))
        {
            return StrictJson.Read(StrictJson.Parse(File.ReadAllText(resultPath), resultPath), TrainingJsonContext.Default.ArmResult, resultPath);
        }

        AllocatorTuning.ReleaseFree();
        var (folder, config) = Directory.Exists(path) ? RunFolder.Open(path) : (RunFolder.Create(path, arm.Config, force: false), arm.Config);
        var memory = new PeakMemory();
        var observers = new ObserverList([memory, .. observer is null ? Array.Empty<ITrainingObserver>() : [observer]]);
        using var trainer = new Trainer(config, _data, folder, observers);
        trainer.Resume();
        using var log = new MetricsLog(folder, config, trainer.Step);
        observers.Add(log);
        if (!trainer.Run(stop: stop))
        {
            return null;
        }

        AtomicDirectory.Create(folder.FinalFolder, final => ModelFolder.Save(final, trainer.Model, _data.Tokenizer));
        var result = Result(arm.Name, config, trainer, memory, log);
        DurableFile.Write(resultPath, JsonSerializer.SerializeToUtf8Bytes(result, TrainingJsonContext.Default.ArmResult));
        return result;
    }

    private static ArmResult Result(string name, RunConfig config, Trainer trainer, PeakMemory memory, MetricsLog log)
    {
        var parameters = ParameterCount.Of(config.Model);
        var evaluation = trainer.LastEvaluation ?? trainer.Evaluate();
        return new ArmResult
        {
            Name = name,
            Parameters = parameters.Total,
            BlockParameters = parameters.BlockParameters,
            ValidationLoss = evaluation.Loss,
            Perplexity = evaluation.Perplexity,
            BitsPerByte = evaluation.BitsPerByte,
            TokensPerSecond = trainer.TokensPerSecond,
            MaxGradientNorm = trainer.MaxGradientNorm,
            PeakMemoryBytes = memory.Bytes,
            LearningRate = config.Training.LearningRate,
            Steps = config.Training.Steps,
            Tokens = (long)config.Training.Steps * config.Training.TokensPerStep,
            SkippedSteps = trainer.SkippedSteps,
            TrainingCurve = [.. log.TrainingLosses.Select(point => new CurvePoint(point.Tokens, point.Loss))],
            ValidationCurve = [.. log.ValidationLosses.Select(point => new CurvePoint(point.Tokens, point.Loss))],
        };
    }
}
