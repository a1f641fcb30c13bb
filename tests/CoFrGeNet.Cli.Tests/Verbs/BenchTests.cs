namespace CoFrGeNet.Cli.Tests.Verbs;

public class BenchTests
{
    // What the figures are is not tested; that they are all there, and that the contestants agreed before they were timed, is.
    [Fact]
    public void Kernels_gives_one_document_with_limits_and_ratios()
    {
        var document = ToolRun.Of("bench", "kernels", "--tokens", "64", "--rounds", "1", "--json").Succeeded().Json;
        var ratios = document.GetProperty("ratios");
        string[] names =
        [
            "elementwise.forwardBackward.fusedOverNaive", "elementwise.forwardBackward.fusedOverComposed", "elementwise.forward.fusedOverNaive",
            "elementwise.fmaShare", "projected.forwardBackward.fusedOverNaive", "projected.forwardBackward.fusedOverComposed",
            "projected.forward.fusedOverNaive", "projected.bandwidthShare",
        ];
        Assert.All(names, name => Assert.True(ratios.GetProperty(name).GetDouble() > 0, name));
        Assert.Contains(document.GetProperty("results").EnumerateArray(), result =>
            result.GetProperty("name").GetString() == "projected.fused.bytes" && result.GetProperty("unit").GetString() == "GB/s"
            && result.GetProperty("limit").GetDouble() > 0);
    }

    [Theory]
    [InlineData("kernels", "bench")]
    [InlineData("--rounds", "bench", "kernels", "--rounds", "0")]
    [InlineData("kernels", "bench", "kernel")]
    public void Bad_usage_is_one_line(string expected, params string[] arguments)
    {
        var run = ToolRun.Of(arguments);
        Assert.Equal(2, run.Code);
        Assert.Contains(expected, Assert.Single(run.ErrorLines));
    }
}
