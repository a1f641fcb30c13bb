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

    [Fact]
    public void Train_gives_speeds_beside_the_rate_of_a_product_and_their_ratios()
    {
        var document = ToolRun.Of("bench", "train", "--preset", "tiny", "--context", "32", "--sequences", "2", "--rounds", "1", "--json").Succeeded().Json;
        var ratios = document.GetProperty("ratios");
        string[] names =
        [
            "train.f32.cofrgenetFOverGpt2", "train.bf16.cofrgenetFOverGpt2", "train.f32.cofrgenetOverGpt2", "train.f32.mfu", "train.bf16.mfu", "train.f.bf16OverF32",
        ];
        Assert.All(names, name => Assert.True(ratios.GetProperty(name).GetDouble() > 0, name));
        Assert.Contains(document.GetProperty("results").EnumerateArray(), result => result.GetProperty("name").GetString() == "process.peakMemory");
    }

    [Fact]
    public void Decode_gives_speeds_beside_bandwidth_arithmetic_and_torch()
    {
        var document = ToolRun.Of(
            "bench", "decode", "--preset", "tiny", "--types", "f32,int8", "--tokens", "4", "--context", "8", "--prompt", "32", "--sequences", "2", "--rounds", "1", "--json").Succeeded().Json;
        var ratios = document.GetProperty("ratios");
        string[] names =
        [
            "decode.f32.cofrgenetFOverGpt2", "decode.f32.cofrgenetOverGpt2", "decode.f32.bandwidthShare", "decode.f32.transformerBandwidthShare", "decode.int8.bandwidthShare",
            "prefill.f32.transformer.peakShare", "prefill.f32.cofrgenetF.engineOverTorch",
        ];
        Assert.All(names, name => Assert.True(ratios.GetProperty(name).GetDouble() > 0, name));
        Assert.Contains(document.GetProperty("results").EnumerateArray(), result =>
            result.GetProperty("name").GetString() == "f32.transformer.speed" && result.GetProperty("limit").GetDouble() > 0);
    }

    [Fact]
    public void Serve_gives_speeds_beside_bandwidth_and_says_that_streams_were_right()
    {
        using var runs = new TinyRuns();
        ToolRun.Of(runs.Train("tiny-fu", "run", "--set", "model.contextLength=96", "--set", "training.tokensPerStep=96", "--set", "training.steps=2")).Succeeded();
        var document = ToolRun.Of("bench", "serve", "--model", runs.File("run/final"), "--clients", "1,3", "--seconds", "1", "--tokens", "8", "--json").Succeeded().Json;
        Assert.True(document.GetProperty("ratios").GetProperty("serve.3Over1").GetDouble() > 0);
        var results = document.GetProperty("results").EnumerateArray().ToDictionary(result => result.GetProperty("name").GetString()!);
        Assert.True(results["3.streams"].GetProperty("value").GetDouble() >= 3);
        Assert.True(results["3.speed"].GetProperty("limit").GetDouble() > results["1.speed"].GetProperty("limit").GetDouble());
        Assert.True(results["1.firstToken.median"].GetProperty("value").GetDouble() > 0);
    }

    [Theory]
    [InlineData("--prompt", "bench", "decode", "--preset", "tiny", "--prompt", "3")]
    [InlineData("transformer, f, fu", "bench", "train", "--variants", "f,g")]
    [InlineData("--model", "bench", "serve")]
    [InlineData("no-such-folder", "bench", "serve", "--model", "no-such-folder")]
    [InlineData("--clients", "bench", "serve", "--model", "no-such-folder", "--clients", "1,none")]
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
