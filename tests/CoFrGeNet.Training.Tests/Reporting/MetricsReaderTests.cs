using CoFrGeNet.Tests;

namespace CoFrGeNet.Training.Tests.Reporting;

public sealed class MetricsReaderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _file;
    private readonly MetricsReader _reader;

    public MetricsReaderTests()
    {
        _file = _folder.File("metrics.jsonl");
        _reader = new MetricsReader(_file);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Lines_are_read_once_each_and_only_when_they_are_whole()
    {
        _reader.Refresh();
        Assert.Empty(_reader.Steps);
        Append(Line(1) + "{\"step\":2,\"lo");
        _reader.Refresh();
        _reader.Refresh();
        Assert.Equal([1], Steps);
        Append("ss\":2.5,\"gradientNorm\":7,\"skipped\":\"too much\"}\n{\"step\":2,\"validationLoss\":2.25}\n{\"step\":2,\"message\":\"checkpoint\"}\n");
        _reader.Refresh();
        Assert.Equal([1, 2], Steps);
        Assert.Equal((1, 7.0), (_reader.SkippedSteps, _reader.MaxGradientNorm));
        Assert.Equal(new EvaluatedStep(2, 2.25), Assert.Single(_reader.Evaluations));
        Assert.Equal((2, "checkpoint"), Assert.Single(_reader.Messages));
    }

    [Fact]
    public void A_log_that_a_resume_has_cut_is_read_again()
    {
        Append(Line(1) + Line(2) + Line(3) + "{\"step\":4,\"l");
        _reader.Refresh();

        // Shorter, longer, and of the same length with other content.
        foreach (var steps in new[] { new[] { 1 }, [1, 5, 6, 7, 8], [1, 5, 6, 7, 9] })
        {
            File.WriteAllText(_file, string.Concat(steps.Select(Line)));
            _reader.Refresh();
            Assert.Equal(steps, Steps);
        }

        File.Delete(_file);
        _reader.Refresh();
        Assert.Empty(_reader.Steps);
    }

    [Fact]
    public void Lines_that_are_no_metrics_are_passed_over()
    {
        Append("{\"step\":1,\"lo{\"step\":2}\n[]\n{\"loss\":1}\n{\"step\":\"x\",\"loss\":1}\n" + Line(3));
        _reader.Refresh();
        Assert.Equal([3], Steps);
    }

    private IEnumerable<int> Steps => _reader.Steps.Select(step => step.Step);

    private static string Line(int step) => $"{{\"step\":{step},\"tokens\":{step * 64},\"loss\":2.5,\"learningRate\":0.1}}\n";

    private void Append(string text) => File.AppendAllText(_file, text);
}
