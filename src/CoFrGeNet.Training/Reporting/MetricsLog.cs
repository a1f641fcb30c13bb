using System.Text.Json;
using TorchSharp;
using TorchSharp.Modules;

namespace CoFrGeNet.Training;

/// <summary>Writes what a trainer reports to <c>metrics.jsonl</c> and to TensorBoard events, and remembers the losses for a curve.</summary>
public sealed class MetricsLog : ITrainingObserver, IDisposable
{
    private readonly StreamWriter _lines;
    private readonly SummaryWriter _board;
    private readonly int _every;
    private readonly List<(long Tokens, double Loss)> _trainingLosses = [];
    private readonly List<(long Tokens, double Loss)> _validationLosses = [];
    private readonly int _tokensPerStep;

    /// <summary>Opens the log. Lines of steps after <paramref name="fromStep"/>, left by a run that went on past its last checkpoint, are dropped.</summary>
    /// <param name="folder">The run.</param>
    /// <param name="config">Its configuration.</param>
    /// <param name="fromStep">Steps done so far.</param>
    public MetricsLog(RunFolder folder, RunConfig config, int fromStep)
    {
        _every = config.Training.LogEvery;
        _tokensPerStep = config.Training.TokensPerStep;
        KeepUpTo(folder.MetricsFile, fromStep);
        _lines = new StreamWriter(folder.MetricsFile, append: true) { AutoFlush = true };
        _board = torch.utils.tensorboard.SummaryWriter(folder.TensorBoardFolder, createRunName: false);
    }

    /// <summary>Training loss by tokens seen, one point a logged step.</summary>
    public IReadOnlyList<(long Tokens, double Loss)> TrainingLosses => _trainingLosses;

    /// <summary>Validation loss by tokens seen.</summary>
    public IReadOnlyList<(long Tokens, double Loss)> ValidationLosses => _validationLosses;

    /// <inheritdoc/>
    public void OnStep(TrainingProgress progress)
    {
        if (progress.Step % _every != 0 && progress.Step != progress.Steps)
        {
            return;
        }

        _trainingLosses.Add((progress.Tokens, progress.Loss));
        var line = new Dictionary<string, object?>
        {
            ["step"] = progress.Step,
            ["tokens"] = progress.Tokens,
            ["loss"] = progress.Loss,
            ["learningRate"] = progress.LearningRate,
            ["tokensPerSecond"] = Math.Round(progress.TokensPerSecond),
            ["gradientNorm"] = Finite(progress.Norms.Total),
            ["gradientNorms"] = progress.Norms.ByComponent.ToDictionary(entry => Camel(entry.Key), entry => Finite(entry.Value)),
            ["activeLevels"] = progress.ActiveLevels,
            ["poles"] = progress.Poles.Count == 0 ? null : progress.Poles.Select(pole => new Dictionary<string, object?>
            {
                ["layer"] = pole.Layer,
                ["guardedShare"] = pole.GuardedShare,
                ["minDenominator"] = Finite(pole.MinDenominator),
            }).ToArray(),
        };
        Write(line);
        _board.add_scalar("loss/train", (float)progress.Loss, progress.Step);
        _board.add_scalar("learningRate", (float)progress.LearningRate, progress.Step);
        _board.add_scalar("tokensPerSecond", (float)progress.TokensPerSecond, progress.Step);
        foreach (var (component, norm) in progress.Norms.ByComponent)
        {
            _board.add_scalar($"gradientNorm/{Camel(component)}", (float)norm, progress.Step);
        }
    }

    /// <inheritdoc/>
    public void OnEvaluation(int step, EvaluationResult result)
    {
        _validationLosses.Add(((long)step * _tokensPerStep, result.Loss));
        Write(new Dictionary<string, object?>
        {
            ["step"] = step,
            ["validationLoss"] = Finite(result.Loss),
            ["perplexity"] = Finite(result.Perplexity),
            ["bitsPerByte"] = Finite(result.BitsPerByte),
        });
        _board.add_scalar("loss/validation", (float)result.Loss, step);
    }

    /// <inheritdoc/>
    public void OnMessage(int step, string message) => Write(new Dictionary<string, object?> { ["step"] = step, ["message"] = message });

    /// <inheritdoc/>
    public void Dispose() => _lines.Dispose();

    private static string Camel(Component component) => JsonNamingPolicy.CamelCase.ConvertName(component.ToString());

    // JSON has no infinity; a gradient that is not finite is written as null.
    private static double? Finite(double value) => double.IsFinite(value) ? value : null;

    private static int StepOf(string line)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            return document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("step", out var step) && step.TryGetInt32(out var number) ? number : int.MaxValue;
        }
        catch (JsonException)
        {
            // The last line of a killed run may be cut.
            return int.MaxValue;
        }
    }

    private void KeepUpTo(string path, int step)
    {
        if (!File.Exists(path))
        {
            return;
        }

        var kept = File.ReadLines(path).Where(line => StepOf(line) <= step).ToArray();
        Storage.DurableFile.Write(path, System.Text.Encoding.UTF8.GetBytes(string.Concat(kept.Select(line => line + "\n"))));
        foreach (var line in kept)
        {
            using var document = JsonDocument.Parse(line);
            Remember(document.RootElement);
        }
    }

    private void Remember(JsonElement line)
    {
        var tokens = line.GetProperty("step").GetInt64() * _tokensPerStep;
        if (line.TryGetProperty("loss", out var loss))
        {
            _trainingLosses.Add((tokens, loss.GetDouble()));
        }

        if (line.TryGetProperty("validationLoss", out var validation))
        {
            _validationLosses.Add((tokens, validation.GetDouble()));
        }
    }

    private void Write(Dictionary<string, object?> line) =>
        _lines.WriteLine(JsonSerializer.Serialize(line.Where(entry => entry.Value is not null).ToDictionary()));
}
