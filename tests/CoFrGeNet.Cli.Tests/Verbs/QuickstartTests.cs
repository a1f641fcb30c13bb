using System.Text.Json;

namespace CoFrGeNet.Cli.Tests.Verbs;

public sealed class QuickstartTests : IDisposable
{
    private readonly TinyRuns _runs = new();

    // The embedded contestants are 128 wide with a context of 128: the text needs a few windows in both parts.
    private string Text => _runs.Write("long.txt", string.Concat(Enumerable.Range(0, 900).Select(i => $"Line {i} says that {i * 7 % 13} follows {i * 5 % 11}.\n\n")));

    public void Dispose() => _runs.Dispose();

    [Fact]
    public void Three_models_see_the_same_tokens_and_are_compared()
    {
        var run = ToolRun.Of(Quickstart("--steps", "2", "--json")).Succeeded();
        var document = run.Json;
        var models = document.GetProperty("models").EnumerateArray().ToArray();
        Assert.Equal(["transformer", "CoFrGeNet-F", "CoFrGeNet"], models.Select(model => model.GetProperty("name").GetString()!));
        Assert.All(models, model => Assert.Equal(2 * 1024, model.GetProperty("tokens").GetInt64()));
        Assert.All(models, model => Assert.Equal(0, model.GetProperty("skippedSteps").GetInt32()));
        Assert.All(models, model => Assert.True(model.GetProperty("peakMemoryBytes").GetInt64() > 1 << 20));

        // What is called CoFrGeNet-F has at most 2/3 of the transformer's block parameters, CoFrGeNet at most 1/2.
        var blocks = models.Select(model => model.GetProperty("blockParameters").GetDouble()).ToArray();
        Assert.True(blocks[1] <= blocks[0] * 2 / 3, $"{blocks[1]} of {blocks[0]}");
        Assert.True(blocks[2] <= blocks[0] / 2, $"{blocks[2]} of {blocks[0]}");
        foreach (var model in models)
        {
            var loss = model.GetProperty("validationLoss").GetDouble();
            Assert.Equal(Math.Exp(loss), model.GetProperty("perplexity").GetDouble(), 1e-9);
            Assert.True(File.Exists(_runs.File($"quick/{model.GetProperty("name").GetString()}/final/model.safetensors")));
        }

        // A PNG's first bytes.
        Assert.Equal<byte>([0x89, 0x50, 0x4E, 0x47], File.ReadAllBytes(_runs.File("quick/loss.png"))[..4]);
        Assert.Equal(_runs.File("quick"), document.GetProperty("folder").GetString());
    }

    [Fact]
    public void An_interrupted_quickstart_goes_on_where_it_was()
    {
        using var stop = new CancellationTokenSource();
        using var error = new CancellingWriter("CoFrGeNet-F: step 1: validation", stop);
        var interrupted = ToolRun.Of(error, stop.Token, Quickstart("--steps", "2"));
        Assert.Equal(130, interrupted.Code);
        Assert.Contains($"cofrgenet quickstart --out {_runs.File("quick")} --resume", interrupted.Error);

        var resumed = ToolRun.Of("quickstart", "--out", _runs.File("quick"), "--resume", "--threads", "1", "--json").Succeeded();
        Assert.Contains("CoFrGeNet-F: step 1: resumed at step 1", resumed.Error);
        Assert.DoesNotContain("transformer: step", resumed.Error);
        Assert.Equal(3, resumed.Json.GetProperty("models").GetArrayLength());
    }

    [Fact]
    public void A_model_that_diverged_is_reported_and_does_not_break_the_document()
    {
        // exp(710) is more than a double holds.
        var result = new CoFrGeNet.Training.ArmResult
        {
            Name = "wild",
            Parameters = 1,
            BlockParameters = 1,
            ValidationLoss = 710,
            Perplexity = double.PositiveInfinity,
            BitsPerByte = double.NaN,
            TokensPerSecond = 1,
            MaxGradientNorm = 1,
            PeakMemoryBytes = 1,
            LearningRate = 1,
            Steps = 1,
            Tokens = 1,
            SkippedSteps = 0,
        };
        using var document = JsonDocument.Parse(JsonSerializer.Serialize(QuickstartReport.Document([result], "folder", 1, "text")));
        var model = document.RootElement.GetProperty("Models")[0];
        Assert.Equal(710, model.GetProperty("ValidationLoss").GetDouble());
        Assert.Equal(JsonValueKind.Null, model.GetProperty("Perplexity").ValueKind);
        using var table = new StringWriter();
        QuickstartReport.Write(table, isTerminal: false, [result], "folder", 1);
        Assert.Contains("710.0000", table.ToString());
    }

    [Fact]
    public void A_mistake_under_force_costs_nothing()
    {
        ToolRun.Of(Quickstart("--steps", "1")).Succeeded();
        var run = ToolRun.Of("quickstart", "--data", "nowhere.txt", "--out", _runs.File("quick"), "--force", "--threads", "1", "--steps", "1");
        Assert.Equal(2, run.Code);
        Assert.True(File.Exists(_runs.File("quick/result.json")));
    }

    [Theory]
    [InlineData("--minutes is -1; allowed is a number above 0", "--minutes", "-1")]
    [InlineData("--steps is 0; allowed is 1 or more", "--steps", "0")]
    public void Numbers_out_of_range(string expected, params string[] more)
    {
        var run = ToolRun.Of(Quickstart(more));
        Assert.Equal(2, run.Code);
        Assert.Contains(expected, Assert.Single(run.ErrorLines));
    }

    [Fact]
    public void Nothing_is_overwritten_unasked()
    {
        Directory.CreateDirectory(_runs.File("quick"));
        _runs.Write("quick/mine.txt", "precious");
        var run = ToolRun.Of(Quickstart("--steps", "2"));
        Assert.Equal(2, run.Code);
        Assert.Contains("is not empty", Assert.Single(run.ErrorLines));
        Assert.Equal(2, ToolRun.Of(Quickstart("--steps", "2", "--force")).Code);
        Assert.Equal("precious", File.ReadAllText(_runs.File("quick/mine.txt")));

        // Nor is a folder of several runs: only a quickstart's own contestants go with it.
        ToolRun.Of(_runs.Train("tiny", "all/first")).Succeeded();
        var wholesale = ToolRun.Of(_runs.Train("tiny", "all", "--force"));
        Assert.Equal(2, wholesale.Code);
        Assert.Contains("holds first, which cofrgenet did not write", Assert.Single(wholesale.ErrorLines));
        Assert.True(File.Exists(_runs.File("all/first/final/model.safetensors")));
        Assert.Contains("holds no quickstart", ToolRun.Of("quickstart", "--resume", "--out", _runs.File("quick")).Error);
    }

    private string[] Quickstart(params string[] more) => ["quickstart", "--data", Text, "--out", _runs.File("quick"), "--threads", "1", .. more];
}
