using System.Text.Json;
using CoFrGeNet.Accounting;
using CoFrGeNet.Configuration;
using CoFrGeNet.Storage;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

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
    private readonly Device? _device;

    /// <summary>Creates the runner.</summary>
    /// <param name="folder">The parent folder.</param>
    /// <param name="data">The text, the same for all.</param>
    /// <param name="device">Where the models live; null: the CPU.</param>
    public ArmRunner(string folder, TextData data, Device? device = null)
    {
        _folder = folder;
        _data = data;
        _device = device;
    }

    /// <summary>The run folder of a contestant.</summary>
    /// <param name="name">Its name.</param>
    public string FolderOf(string name) => Path.Combine(_folder, name);

    /// <summary>Trains one contestant, or goes on with it, or reads the result that it left.</summary>
    /// <param name="arm">The contestant.</param>
    /// <param name="observer">Hears of every step.</param>
    /// <param name="stop">Asks for a stop after the step at hand.</param>
    /// <returns>The result, or null when it was stopped.</returns>
    /// <exception cref="UserErrorException">The folder holds an unfinished run of another configuration.</exception>
    public ArmResult? Run(ComparisonArm arm, ITrainingObserver? observer, CancellationToken stop)
    {
        var path = FolderOf(arm.Name);
        var resultPath = Path.Combine(path, ResultFile);
        if (File.Exists(resultPath))
        {
            return StrictJson.Read(StrictJson.Parse(File.ReadAllText(resultPath), resultPath), TrainingJsonContext.Default.ArmResult, resultPath);
        }

        RequireSame(path, arm);
        AllocatorTuning.ReleaseFree();
        var memory = new PeakMemory();
        var observers = new ObserverList();
        observers.Add(memory);
        if (observer is not null)
        {
            observers.Add(observer);
        }

        using var run = RunFolder.Exists(path)
            ? TrainingRun.Resume(path, _data, observers, _device)
            : TrainingRun.Start(path, arm.Config, _data, force: false, observers, _device);
        if (!run.Run(stop))
        {
            return null;
        }

        var result = Result(arm.Name, run, memory);
        DurableFile.Write(resultPath, JsonSerializer.SerializeToUtf8Bytes(result, TrainingJsonContext.Default.ArmResult));
        return result;
    }

    private static void RequireSame(string path, ComparisonArm arm)
    {
        if (RunFolder.Exists(path) && StudyResults.Comparable(RunFolder.Open(path).Config) != StudyResults.Comparable(arm.Config))
        {
            throw new UserErrorException($"{path} holds an unfinished run of {arm.Name} with another configuration; move or delete that folder to begin anew.");
        }
    }

    private static ArmResult Result(string name, TrainingRun run, PeakMemory memory)
    {
        var parameters = ParameterCount.Of(run.Config.Model);
        var evaluation = run.Trainer.LastEvaluation!;
        return new ArmResult
        {
            Name = name,
            Parameters = parameters.Total,
            BlockParameters = parameters.BlockParameters,
            ValidationLoss = evaluation.Loss,
            Perplexity = evaluation.Perplexity,
            BitsPerByte = evaluation.BitsPerByte,
            TokensPerSecond = run.Trainer.TokensPerSecond,
            MaxGradientNorm = run.Trainer.MaxGradientNorm,
            PeakMemoryBytes = memory.Bytes,
            LearningRate = run.Config.Training.LearningRate,
            Steps = run.Config.Training.Steps,
            Tokens = run.Tokens,
            SkippedSteps = run.Trainer.SkippedSteps,
            Sample = run.Sample ?? string.Empty,
            TrainingCurve = [.. run.Log.TrainingLosses.Select(point => new CurvePoint(point.Tokens, point.Loss))],
            ValidationCurve = [.. run.Log.ValidationLosses.Select(point => new CurvePoint(point.Tokens, point.Loss))],
        };
    }
}
