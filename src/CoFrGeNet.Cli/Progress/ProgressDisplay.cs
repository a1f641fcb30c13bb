using System.Globalization;
using CoFrGeNet.Training;

namespace CoFrGeNet.Cli;

/// <summary>
/// Shows a training: on a terminal one line that is overwritten, otherwise a plain line every few seconds. Evaluations and messages get
/// lines of their own in both.
/// </summary>
internal sealed class ProgressDisplay : ITrainingObserver
{
    private static readonly TimeSpan LiveInterval = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan PlainInterval = TimeSpan.FromSeconds(5);

    private readonly TextWriter _writer;
    private readonly bool _isTerminal;
    private readonly string _prefix;
    private readonly TimeProvider _clock;
    private long? _lastShown;
    private int _liveLength;
    private double? _validationLoss;

    /// <summary>Creates the display.</summary>
    /// <param name="console">It writes to standard error.</param>
    /// <param name="name">What is trained, put before each line; null: nothing.</param>
    /// <param name="clock">The time; null: the system's.</param>
    public ProgressDisplay(ToolConsole console, string? name = null, TimeProvider? clock = null)
    {
        _writer = console.Error;
        _isTerminal = console.IsErrorTerminal;
        _prefix = name is null ? string.Empty : name + ": ";
        _clock = clock ?? TimeProvider.System;
    }

    /// <inheritdoc/>
    public void OnStep(TrainingProgress progress)
    {
        var interval = _isTerminal ? LiveInterval : PlainInterval;
        if (_lastShown is { } shown && _clock.GetElapsedTime(shown) < interval && progress.Step < progress.Steps)
        {
            return;
        }

        _lastShown = _clock.GetTimestamp();
        var line = Describe(progress);
        if (_isTerminal)
        {
            ShowLive(line);
        }
        else
        {
            _writer.WriteLine(line);
        }
    }

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
    public void Clear()
    {
        if (_liveLength > 0)
        {
            _writer.Write('\r' + new string(' ', _liveLength) + '\r');
            _writer.Flush();
            _liveLength = 0;
        }
    }

    /// <summary>Writes a line that stays, above the live line.</summary>
    /// <param name="line">The text.</param>
    public void WriteLine(string line)
    {
        Clear();
        _writer.WriteLine(line);
    }

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

    private void ShowLive(string line)
    {
        var width = TerminalWidth() - 1;
        line = line.Length > width ? line[..width] : line;
        _writer.Write('\r' + line + new string(' ', Math.Max(0, _liveLength - line.Length)));
        _writer.Flush();
        _liveLength = line.Length;
    }

    private static int TerminalWidth()
    {
        try
        {
            return Console.WindowWidth is var width and > 1 ? width : 80;
        }
        catch (Exception e) when (e is IOException or PlatformNotSupportedException)
        {
            return 80;
        }
    }
}
