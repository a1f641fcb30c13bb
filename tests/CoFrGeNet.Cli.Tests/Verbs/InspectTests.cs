namespace CoFrGeNet.Cli.Tests.Verbs;

public sealed class InspectTests : IDisposable
{
    private readonly TinyRuns _runs = new();

    public void Dispose() => _runs.Dispose();

    [Fact]
    public void Every_layer_with_ladders_is_shown_with_what_training_saw()
    {
        ToolRun.Of(_runs.Train("tiny-fu", "run")).Succeeded();
        var document = ToolRun.Of(Inspect("--json", "--copying")).Succeeded().Json;
        var layers = document.GetProperty("layers").EnumerateArray().ToArray();
        Assert.Equal(["0 mixer", "0 feedForward", "1 mixer", "1 feedForward"], layers.Select(layer => $"{layer.GetProperty("index")} {layer.GetProperty("part").GetString()}"));
        // Two ensembles a position; the preset's 85 ladders.
        Assert.Equal([32, 85, 32, 85], layers.Select(layer => layer.GetProperty("ladders").GetInt32()));
        Assert.All(layers, layer =>
        {
            Assert.InRange(layer.GetProperty("guardedShare").GetDouble(), 0, 1);
            Assert.InRange(layer.GetProperty("clippedShare").GetDouble(), 0, 1);
            Assert.True(layer.GetProperty("minDenominator").GetDouble() >= 0);
            Assert.True(layer.GetProperty("maxOutput").GetDouble() > 0);
            Assert.True(layer.GetProperty("largestGradient").GetDouble() > 0);
            Assert.True(layer.GetProperty("outputs").GetProperty("p01").GetDouble() <= layer.GetProperty("outputs").GetProperty("p99").GetDouble());
        });
        Assert.True(document.GetProperty("copying").GetProperty("random").GetProperty("first").GetDouble() > 0);

        var table = ToolRun.Of(Inspect()).Succeeded().Output;
        Assert.Contains("feedForward", table);
        Assert.Contains("largest gradient", table);
    }

    [Fact]
    public void One_ladder_is_written_out_and_drawn()
    {
        ToolRun.Of(_runs.Train("tiny-fu", "run")).Succeeded();
        var picture = _runs.File("ladder.png");
        var run = ToolRun.Of(Inspect("--ladder", "1:17", "--plot", picture)).Succeeded();
        Assert.Contains("block 1, feedForward, ladder 17", run.Output);
        Assert.Matches(@"f\(t\) = \(.* t.*\) / \(.* t\^2\)", run.Output);
        // A PNG's first bytes.
        Assert.Equal<byte>([0x89, 0x50, 0x4E, 0x47], File.ReadAllBytes(picture)[..4]);

        var mixer = ToolRun.Of(Inspect("--ladder", "0.mixer:3", "--plot", picture, "--json")).Succeeded().Json.GetProperty("ladder");
        Assert.Equal(1, mixer.GetProperty("numerator").GetArrayLength());
        Assert.Equal(2, mixer.GetProperty("denominator").GetArrayLength());

        Assert.Contains("--ladder is 7:1; allowed is LAYER:J or LAYER.mixer:J with a block from 0 to 1", Mistake("--ladder", "7:1"));
        Assert.Contains("has no ladder 85; allowed is 0 to 84", Mistake("--ladder", "0:85"));
    }

    [Fact]
    public void Forget_gates_are_shown_head_by_head()
    {
        ToolRun.Of(_runs.Train("small-u", "run", "--set", "model.blocks.0.mixer.forgetGates=true", "--set", "model.blocks.0.mixer.initialForgetting=0.1")).Succeeded();
        var gates = ToolRun.Of(Inspect("--json")).Succeeded().Json.GetProperty("forgetGates").EnumerateArray().ToArray();
        Assert.Equal(
            from layer in Enumerable.Range(0, 2) from ensemble in Enumerable.Range(0, 2) from head in Enumerable.Range(0, 4) select $"{layer} {ensemble} {head}",
            gates.Select(gate => $"{gate.GetProperty("layer")} {gate.GetProperty("ensemble")} {gate.GetProperty("head")}"));
        // A few steps have moved them a little: f = e^-0.1 at first, with (1 - f^i) / (1 - f) tokens left at the i-th of 16, 5.5 in the mean.
        Assert.All(gates, gate =>
        {
            Assert.InRange(gate.GetProperty("memory").GetDouble(), 4, 8);
            Assert.Equal(0, gate.GetProperty("forgettingShare").GetDouble());
        });
        Assert.Contains("tokens left", ToolRun.Of(Inspect()).Succeeded().Output);
    }

    [Fact]
    public void A_model_without_ladders_says_so()
    {
        ToolRun.Of(_runs.Train("tiny", "run")).Succeeded();
        Assert.Contains("This model has no ladders.", ToolRun.Of(Inspect()).Succeeded().Output);
        var document = ToolRun.Of(Inspect("--json")).Succeeded().Json;
        Assert.Empty(document.GetProperty("layers").EnumerateArray());
        Assert.Empty(document.GetProperty("forgetGates").EnumerateArray());
        Assert.Contains("block 0 has no ladders in its feed-forward or mixer", Mistake("--ladder", "0:1"));
    }

    private string Mistake(params string[] more)
    {
        var run = ToolRun.Of(Inspect(more));
        Assert.Equal(2, run.Code);
        return Assert.Single(run.ErrorLines);
    }

    private string[] Inspect(params string[] more) => ["inspect", "--model", _runs.File("run/final"), "--text", _runs.Text, "--threads", "1", .. more];
}
