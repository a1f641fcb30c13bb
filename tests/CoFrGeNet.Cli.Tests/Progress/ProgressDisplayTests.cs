using CoFrGeNet.Training;

namespace CoFrGeNet.Cli.Tests.Progress;

public sealed class ProgressDisplayTests : IDisposable
{
    private readonly StringWriter _error = new();
    private readonly ManualClock _clock = new();

    public void Dispose() => _error.Dispose();

    [Fact]
    public void Without_a_terminal_there_is_a_line_every_few_seconds_and_at_the_end()
    {
        var display = Display(isTerminal: false);
        for (var step = 1; step <= 100; step++)
        {
            display.OnStep(Step(step));
            _clock.Advance(TimeSpan.FromSeconds(0.1));
        }

        var lines = _error.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(3, lines.Length);
        Assert.Equal("step 1/100  64 tokens  loss 2.5000  1,000 tokens/s  0:06 left  gradient 1.5", lines[0].TrimEnd());
        Assert.StartsWith("step 51/100", lines[1]);
        Assert.StartsWith("step 100/100", lines[2]);
        Assert.DoesNotContain('\r', _error.ToString().Replace(Environment.NewLine, ""));
    }

    [Fact]
    public void On_a_terminal_one_line_is_overwritten_and_messages_stay()
    {
        var display = Display(isTerminal: true);
        display.OnStep(Step(1));
        _clock.Advance(TimeSpan.FromSeconds(1));
        display.OnStep(Step(2));
        display.OnMessage(2, "checkpoint step-00000002");
        display.OnEvaluation(2, new EvaluationResult(Math.Log(8), 0.5, 100));
        display.Clear();
        var text = _error.ToString();
        Assert.StartsWith("\rstep 1/100", text);
        Assert.Contains("\rstep 2/100", text);
        Assert.EndsWith("\rstep 2: checkpoint step-00000002\nstep 2: validation loss 2.0794, perplexity 8.00, 1.500 bits per byte\n", text.Replace(Environment.NewLine, "\n"));
    }

    [Fact]
    public void The_line_tells_the_last_validation_loss_and_the_phase_of_the_ladders()
    {
        var display = Display(isTerminal: false);
        display.OnEvaluation(1, new EvaluationResult(2.25, 0.5, 100));
        display.OnStep(Step(2) with { ActiveLevels = 1, Levels = 3 });
        Assert.EndsWith(
            "step 2/100  128 tokens  loss 2.5000  validation 2.2500  1,000 tokens/s  0:06 left  ladder levels 1 of 3  gradient 1.5",
            _error.ToString().TrimEnd());
    }

    [Theory]
    [InlineData(0, "0:00")]
    [InlineData(59.6, "1:00")]
    [InlineData(3723, "1:02:03")]
    [InlineData(double.PositiveInfinity, "277777:46:40")]
    public void Durations_read_as_on_a_clock(double seconds, string expected) => Assert.Equal(expected, Amounts.Duration(seconds));

    private ProgressDisplay Display(bool isTerminal) =>
        new(new ToolConsole(TextWriter.Null, _error, CancellationToken.None) { IsErrorTerminal = isTerminal }, clock: _clock);

    private static TrainingProgress Step(int step) =>
        new(step, 100, step * 64L, 2.5, 1e-3, 1000, new GradientNorms(1.5, new Dictionary<Component, double>()), null, []);

    private sealed class ManualClock : TimeProvider
    {
        private long _ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _ticks;

        public void Advance(TimeSpan span) => _ticks += span.Ticks;
    }
}
