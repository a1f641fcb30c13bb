using System.Globalization;
using CoFrGeNet.Training;

namespace CoFrGeNet.Cli;

/// <summary>
/// Shows a training: on a terminal one line that is overwritten, otherwise a plain line every few seconds. Evaluations and messages get
/// lines of their own in both.
/// </summary>
internal sealed class ProgressDisplay : ITrainingObserver
{
    private readonly LiveLine _line;
    private readonly string _prefix;
    private double? _validationLoss;

    /// <summary>Creates the display.</summary>
    /// <param name="console">It writes to standard error.</param>
    /// <param name="name">What is trained, put before each line; null: nothing.</param>
    /// <param name="clock">The time; null: the system's.</param>
    public ProgressDisplay(ToolConsole console, string? name = null, TimeProvider? clock = null)
    {
        _line = new LiveLine(console, clock);
        _prefix = name is null ? string.Empty : name + ": ";
    }

    /// <inheritdoc/>
    public void OnStep(TrainingProgress progress) => _line.Show(() => Describe(progress), always: progress.Step >= progress.Steps);

    /// <inheritdoc/>
    public void OnEvaluation(int step, EvaluationResult result)
    {
        _validationLoss = result.Loss;
        WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{_prefix}step {step}: validation loss {result.Loss:F4}, perplexity {result.Perplexity:F2}, {result.BitsPerByte:F3} bits per byte"));
    }

    /// <inheritdoc/>
    public void OnMessage(int step, string message) => WriteLine($"{_prefix}step {step}: {message}");

    /// <summary>Takes the live line away, so that other output starts on a clean line.</summary>
    public void Clear() => _line.Clear();

    /// <summary>Writes a line that stays, above the live line.</summary>
    /// <param name="line">The text.</param>
    public void WriteLine(string line) => _line.WriteLine(line);

    private string Describe(TrainingProgress progress)
    {
        var left = (double)progress.Tokens / progress.Step * (progress.Steps - progress.Step) / progress.TokensPerSecond;
        var levels = progress.ActiveLevels is { } active ? $"  ladder levels {active} of {progress.Levels}" : string.Empty;
        var validation = _validationLoss is { } loss ? string.Create(CultureInfo.InvariantCulture, $"  validation {loss:F4}") : string.Empty;
        // What matters most comes first, since a narrow terminal cuts the line.
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{_prefix}step {progress.Step}/{progress.Steps}  {Amounts.Count(progress.Tokens)} tokens  loss {progress.Loss:F4}{validation}  {progress.TokensPerSecond:N0} tokens/s  {Amounts.Duration(left)} left{levels}  gradient {progress.Norms.Total:G3}");
    }
}
