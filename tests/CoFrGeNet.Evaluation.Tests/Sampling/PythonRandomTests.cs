using System.Text.Json;

namespace CoFrGeNet.Evaluation.Tests;

public class PythonRandomTests
{
    private static readonly JsonElement Golden = ReadGolden();

    [Fact]
    public void Doubles_are_those_of_Python()
    {
        Assert.All(Golden.GetProperty("doubles").EnumerateArray().ToArray(), entry =>
        {
            var random = new PythonRandom(entry.GetProperty("seed").GetInt64());
            var values = Enumerable.Range(0, 700).Select(_ => random.NextDouble()).ToArray();
            Assert.Equal(entry.GetProperty("values").EnumerateArray().Select(value => value.GetDouble()), values[^5..]);
        });
    }

    [Fact]
    public void Samples_are_those_of_Python()
    {
        Assert.All(Golden.GetProperty("samples").EnumerateArray().ToArray(), entry =>
        {
            var random = new PythonRandom(entry.GetProperty("seed").GetInt64());
            Assert.All(entry.GetProperty("draws").EnumerateArray().ToArray(), draw => Assert.Equal(
                draw.EnumerateArray().Select(value => value.GetInt32()),
                random.Sample(entry.GetProperty("population").GetInt32(), entry.GetProperty("count").GetInt32())));
        });
    }

    [Fact]
    public void Bootstrap_errors_of_perplexity_are_those_of_Python()
    {
        Assert.All(Golden.GetProperty("bootstrap").EnumerateArray().ToArray(), entry =>
        {
            MetricValue[] values = [.. entry.GetProperty("values").EnumerateArray().Select(value => new MetricValue(value.GetDouble()))];
            var error = Aggregations.StandardError(Aggregation.Perplexity, values, entry.GetProperty("resamples").GetInt32())!.Value;
            // Python sums without rounding errors from 3.12 on, so the last digits may differ.
            Assert.Equal(1, error / entry.GetProperty("error").GetDouble(), 1e-12);
        });
    }

    [Fact]
    public void More_than_there_is_cannot_be_drawn() => Assert.Throws<ArgumentOutOfRangeException>(() => new PythonRandom(1).Sample(3, 4));

    private static JsonElement ReadGolden()
    {
        using var stream = typeof(PythonRandomTests).Assembly.GetManifestResourceStream("python_random.json")!;
        using var document = JsonDocument.Parse(stream);
        return document.RootElement.Clone();
    }
}
