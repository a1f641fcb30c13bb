using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace CoFrGeNet.Training;

/// <summary>
/// Writes what a trainer reports to <c>metrics.jsonl</c> and to TensorBoard events, and remembers the losses for a curve. Each line is one
/// write, so a reader sees whole lines and a killed run leaves at most one that is cut.
/// </summary>
public sealed class MetricsLog : ITrainingObserver, IDisposable
{
    private readonly FileStream _lines;
    private readonly EventFile _board;
    private readonly int _every;
    private readonly List<(long Tokens, double Loss)> _trainingLosses = [];
    private readonly List<(long Tokens, double Loss)> _validationLosses = [];
    private readonly int _tokensPerStep;

    /// <summary>
    /// Opens the log. Lines of steps after <paramref name="fromStep"/>, left by a run that went on past its last checkpoint, are dropped, and
    /// the events are written again from those that stay.
    /// </summary>
    /// <param name="folder">The run.</param>
    /// <param name="config">Its configuration.</param>
    /// <param name="fromStep">Steps done so far.</param>
    public MetricsLog(RunFolder folder, RunConfig config, int fromStep)
    {
        _every = config.Training.LogEvery;
        _tokensPerStep = config.Training.TokensPerStep;
        KeepUpTo(folder.MetricsFile, fromStep);
        _board = new EventFile(folder.TensorBoardFolder, Now());
        try
        {
            foreach (var line in ReadKept(folder.MetricsFile))
            {
                Remember(line);
                WriteEvents(line);
            }

            _lines = new FileStream(folder.MetricsFile, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        }
        catch
        {
            _board.Dispose();
            throw;
        }
    }

    /// <summary>Training loss by tokens seen, one point a logged step.</summary>
    public IReadOnlyList<(long Tokens, double Loss)> TrainingLosses => _trainingLosses;

    /// <summary>Validation loss by tokens seen; evaluations that gave no finite number are left out.</summary>
    public IReadOnlyList<(long Tokens, double Loss)> ValidationLosses => _validationLosses;

    /// <inheritdoc/>
    public void OnStep(TrainingProgress progress)
    {
        if (progress.Step % _every != 0 && progress.Step != progress.Steps && progress.Skipped is null)
        {
            return;
        }

        var norms = new JsonObject();
        foreach (var (component, norm) in progress.Norms.ByComponent)
        {
            norms[JsonNamingPolicy.CamelCase.ConvertName(component.ToString())] = Finite(norm);
        }

        Write(new JsonObject
        {
            ["step"] = progress.Step,
            ["tokens"] = progress.Tokens,
            ["loss"] = progress.Loss,
            ["learningRate"] = progress.LearningRate,
            ["tokensPerSecond"] = Finite(Math.Round(progress.TokensPerSecond)),
            ["gradientNorm"] = Finite(progress.Norms.Total),
            ["gradientNorms"] = norms,
            ["skipped"] = progress.Skipped,
            ["activeLevels"] = progress.ActiveLevels,
            ["levels"] = progress.Levels,
            ["poles"] = progress.Poles.Count == 0 ? null : new JsonArray([.. progress.Poles.Select(pole => new JsonObject
            {
                ["layer"] = pole.Layer,
                ["guardedShare"] = pole.GuardedShare,
                ["minDenominator"] = Finite(pole.MinDenominator),
                ["maxOutput"] = Finite(pole.MaxOutput),
                ["gradientNorm"] = Finite(pole.GradientNorm),
                ["largestGradient"] = Finite(pole.LargestGradient),
            })]),
        });
    }

    /// <inheritdoc/>
    public void OnEvaluation(int step, EvaluationResult result) => Write(new JsonObject
    {
        ["step"] = step,
        ["validationLoss"] = Finite(result.Loss),
        ["perplexity"] = Finite(result.Perplexity),
        ["bitsPerByte"] = Finite(result.BitsPerByte),
    });

    /// <inheritdoc/>
    public void OnMessage(int step, string message) => Write(new JsonObject { ["step"] = step, ["message"] = message });

    /// <inheritdoc/>
    public void OnSaving(int step)
    {
        _lines.Flush(flushToDisk: true);
        _board.Flush();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _lines.Dispose();
        _board.Dispose();
    }

    private static double Now() => Math.Round((DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).TotalSeconds, 3);

    // JSON has no infinity: what is no finite number is left out.
    private static double? Finite(double value) => double.IsFinite(value) ? value : null;

    private static double? Number(JsonObject line, string member) =>
        line[member] is JsonValue value && value.TryGetValue<double>(out var number) ? number : null;

    private static JsonObject? Parse(string line)
    {
        try
        {
            return JsonNode.Parse(line) as JsonObject;
        }
        catch (JsonException)
        {
            // The last line of a killed run may be cut.
            return null;
        }
    }

    private static void KeepUpTo(string path, int step)
    {
        if (!File.Exists(path))
        {
            return;
        }

        // Line by line, since the log of a long run is large; bytes, since they shall stay as they were.
        Storage.DurableFile.Write(path, kept =>
        {
            foreach (var line in File.ReadLines(path).Where(line => Parse(line) is { } known && Number(known, "step") <= step))
            {
                kept.Write(Encoding.UTF8.GetBytes(line + "\n"));
            }
        });
    }

    private static IEnumerable<JsonObject> ReadKept(string path) => File.Exists(path) ? File.ReadLines(path).Select(line => Parse(line)!) : [];

    private void Remember(JsonObject line)
    {
        var tokens = (long)Number(line, "step")! * _tokensPerStep;
        if (Number(line, "loss") is { } loss)
        {
            _trainingLosses.Add((tokens, loss));
        }

        if (Number(line, "validationLoss") is { } validation)
        {
            _validationLosses.Add((tokens, validation));
        }
    }

    private void WriteEvents(JsonObject line)
    {
        (string Tag, double? Value)[] scalars =
        [
            ("loss/train", Number(line, "loss")),
            ("loss/validation", Number(line, "validationLoss")),
            ("learningRate", Number(line, "learningRate")),
            ("tokensPerSecond", Number(line, "tokensPerSecond")),
            ("gradientNorm/total", Number(line, "gradientNorm")),
            .. (line["gradientNorms"] as JsonObject ?? []).Select(norm => ($"gradientNorm/{norm.Key}", (double?)norm.Value)),
        ];
        if (scalars.Any(scalar => scalar.Value is not null))
        {
            var known = scalars.Where(scalar => scalar.Value is not null).Select(scalar => (scalar.Tag, scalar.Value!.Value));
            _board.Write(Number(line, "time") ?? 0, (long)Number(line, "step")!, known);
        }
    }

    private void Write(JsonObject line)
    {
        line["time"] = Now();
        foreach (var name in line.Where(member => member.Value is null).Select(member => member.Key).ToArray())
        {
            line.Remove(name);
        }

        var text = line.ToJsonString();
        _lines.Write(Encoding.UTF8.GetBytes(text + "\n"));
        // As it stands in the file, so that a resume remembers the same.
        var written = Parse(text)!;
        Remember(written);
        WriteEvents(written);
    }
}
