using System.Text;
using System.Text.Json;

namespace CoFrGeNet.Training;

/// <summary>One training line of <c>metrics.jsonl</c>.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="Tokens">Training tokens seen.</param>
/// <param name="Loss">Training loss of the step, nats a token.</param>
/// <param name="LearningRate">Learning rate of the step.</param>
/// <param name="TokensPerSecond">Training speed.</param>
/// <param name="GradientNorm">Gradient norm before clipping; null: it was not finite.</param>
/// <param name="ActiveLevels">Ladder levels that are trained; null without a schedule.</param>
/// <param name="Levels">Depth of the deepest ladder; null without a schedule.</param>
/// <param name="Skipped">Why the update was skipped; null: it was made.</param>
public sealed record MetricsStep(
    int Step, long Tokens, double Loss, double LearningRate, double TokensPerSecond, double? GradientNorm, int? ActiveLevels, int? Levels, string? Skipped);

/// <summary>
/// Follows the <c>metrics.jsonl</c> of a run while it is written: each refresh reads what has come since the last one. A line that is not
/// whole yet waits; a log that a resume has cut is read again from its start.
/// </summary>
/// <remarks>Not thread-safe.</remarks>
public sealed class MetricsReader
{
    private const int KeptMessages = 20;

    private readonly string _path;
    private readonly List<MetricsStep> _steps = [];
    private readonly List<EvaluatedStep> _evaluations = [];
    private readonly List<(int Step, string Text)> _messages = [];
    private readonly Dictionary<string, double> _ladderGradients = [];
    private long _position;
    private byte[] _lastLine = [];

    /// <summary>Names the file; nothing is read yet.</summary>
    /// <param name="path">The file; it may not exist yet.</param>
    public MetricsReader(string path) => _path = path;

    /// <summary>Training lines.</summary>
    public IReadOnlyList<MetricsStep> Steps => _steps;

    /// <summary>Evaluations that gave a finite loss.</summary>
    public IReadOnlyList<EvaluatedStep> Evaluations => _evaluations;

    /// <summary>The last messages.</summary>
    public IReadOnlyList<(int Step, string Text)> Messages => _messages;

    /// <summary>Number of skipped steps.</summary>
    public int SkippedSteps { get; private set; }

    /// <summary>Largest gradient norm of a training line.</summary>
    public double MaxGradientNorm { get; private set; }

    /// <summary>The largest gradient norm of a single ladder in each layer with ladders, by the layer's module name; of the logged steps.</summary>
    public IReadOnlyDictionary<string, double> LadderGradients => _ladderGradients;

    /// <summary>Reads what is new.</summary>
    public void Refresh()
    {
        if (!File.Exists(_path))
        {
            Clear();
            return;
        }

        using var file = new FileStream(_path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 1 << 16);
        if (!Continues(file))
        {
            Clear();
        }

        file.Position = _position;
        var rest = new byte[file.Length - _position];
        var length = file.ReadAtLeast(rest, rest.Length, throwOnEndOfStream: false);
        for (var start = 0; start < length;)
        {
            var end = Array.IndexOf(rest, (byte)'\n', start, length - start);
            if (end < 0)
            {
                return;
            }

            _lastLine = rest[start..(end + 1)];
            Add(_lastLine);
            _position += _lastLine.Length;
            start = end + 1;
        }
    }

    // A resume drops lines and writes others in their place: then what was read last is no longer where it was.
    private bool Continues(FileStream file)
    {
        if (file.Length < _position)
        {
            return false;
        }

        var again = new byte[_lastLine.Length];
        file.Position = _position - again.Length;
        file.ReadExactly(again);
        return again.AsSpan().SequenceEqual(_lastLine);
    }

    private void Clear()
    {
        _steps.Clear();
        _evaluations.Clear();
        _messages.Clear();
        _ladderGradients.Clear();
        _position = 0;
        _lastLine = [];
        SkippedSteps = 0;
        MaxGradientNorm = 0;
    }

    private void Add(byte[] line)
    {
        try
        {
            using var document = JsonDocument.Parse(Encoding.UTF8.GetString(line));
            Add(document.RootElement);
        }
        catch (JsonException)
        {
            // The cut line of a killed run; a resume drops it.
        }
    }

    private void Add(JsonElement line)
    {
        if (line.ValueKind != JsonValueKind.Object || Number(line, "step") is not { } step)
        {
            return;
        }

        if (Text(line, "message") is { } message)
        {
            _messages.Add(((int)step, message));
            if (_messages.Count > KeptMessages)
            {
                _messages.RemoveAt(0);
            }
        }

        if (Number(line, "validationLoss") is { } validation)
        {
            _evaluations.Add(new EvaluatedStep((int)step, validation));
        }

        if (Number(line, "loss") is { } loss)
        {
            var entry = new MetricsStep(
                (int)step,
                (long)(Number(line, "tokens") ?? 0),
                loss,
                Number(line, "learningRate") ?? 0,
                Number(line, "tokensPerSecond") ?? 0,
                Number(line, "gradientNorm"),
                (int?)Number(line, "activeLevels"),
                (int?)Number(line, "levels"),
                Text(line, "skipped"));
            _steps.Add(entry);
            SkippedSteps += entry.Skipped is null ? 0 : 1;
            MaxGradientNorm = Math.Max(MaxGradientNorm, entry.GradientNorm ?? 0);
            AddPoles(line);
        }
    }

    private void AddPoles(JsonElement line)
    {
        if (!line.TryGetProperty("poles", out var poles) || poles.ValueKind != JsonValueKind.Array)
        {
            return;
        }

        foreach (var pole in poles.EnumerateArray())
        {
            if (Text(pole, "layer") is { } layer && Number(pole, "largestGradient") is { } gradient)
            {
                _ladderGradients[layer] = Math.Max(_ladderGradients.GetValueOrDefault(layer), gradient);
            }
        }
    }

    private static double? Number(JsonElement line, string member) =>
        line.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : null;

    private static string? Text(JsonElement line, string member) =>
        line.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
