namespace CoFrGeNet.Cli.Tests.Verbs;

public sealed class StudyTests : IDisposable
{
    private readonly TinyRuns _runs = new();

    public void Dispose() => _runs.Dispose();

    [Fact]
    public void The_smoke_study_runs_arm_by_arm_and_is_not_repeated()
    {
        var part = ToolRun.Of(Study("--only", "no-ladders")).Succeeded();
        Assert.Contains("unfinished", part.Output);
        Assert.DoesNotContain("transformer-lr", part.Error);
        Assert.Contains("**Unfinished: 3 of 9 runs are done.**", File.ReadAllText(_runs.File("results/smoke.md")));

        var rest = ToolRun.Of(Study("--json")).Succeeded();
        Assert.DoesNotContain("no-ladders-lr", rest.Error);
        var arms = rest.Json.GetProperty("arms").EnumerateArray().ToArray();
        Assert.Equal(["transformer", "no-ladders", "both"], arms.Select(arm => arm.GetProperty("name").GetString()!));
        Assert.All(arms, arm =>
        {
            Assert.Equal(2, arm.GetProperty("seeds").GetArrayLength());
            Assert.Equal(1280, arm.GetProperty("tokens").GetInt64());
            Assert.True(arm.GetProperty("meanLoss").GetDouble() is > 1 and < 6);
            Assert.True(arm.GetProperty("spread").GetDouble() > 0);
            Assert.True(arm.GetProperty("maxGradientNorm").GetDouble() > 0);
            Assert.True(arm.GetProperty("blockParameters").GetInt64() > 0);
            Assert.True(arm.GetProperty("learningRate").GetDouble() > 0);
        });
        Assert.True(rest.Json.GetProperty("complete").GetBoolean());
        Assert.Contains("## Copying from the context", File.ReadAllText(_runs.File("results/smoke.md")));
        Assert.DoesNotContain(": run ", ToolRun.Of(Study()).Succeeded().Error);
    }

    [Fact]
    public void No_time_means_no_run_and_a_plan_writes_nothing()
    {
        Assert.Contains("unfinished", ToolRun.Of(Study("--minutes", "0.000001")).Succeeded().Output);
        Directory.Delete(_runs.File("results"), recursive: true);
        var plan = ToolRun.Of(Study("--dry-run", "--json")).Succeeded();
        Assert.Equal(3, plan.Json.GetProperty("arms")[0].GetProperty("runsLeft").GetInt32());
        Assert.True(plan.Json.GetProperty("seconds").GetDouble() > 0);
        Assert.False(Directory.Exists(_runs.File("results")));
    }

    [Fact]
    public void A_stopped_study_goes_on()
    {
        using var stop = new CancellationTokenSource();
        using var error = new CancellingWriter("transformer-lr0.002-seed1: step 10: validation", stop);
        var stopped = ToolRun.Of(error, stop.Token, Study());
        Assert.Equal(130, stopped.Code);
        Assert.Contains("stopped, saved; the same command goes on", stopped.Error);
        Assert.Contains("transformer-lr0.002-seed1: step 10: resumed at step 10", ToolRun.Of(Study("--only", "transformer")).Succeeded().Error);
    }

    [Theory]
    [InlineData("--only ladders: smoke has no such arm; did you mean 'no-ladders'?", "--only", "ladders")]
    [InlineData("--minutes is 0; allowed is a number above 0", "--minutes", "0")]
    [InlineData("Arm transformer: ", "--set", "model.width=0")]
    public void Mistakes(string expected, params string[] more)
    {
        var run = ToolRun.Of(Study(more));
        Assert.Equal(2, run.Code);
        Assert.Contains(expected, Assert.Single(run.ErrorLines));
    }

    [Fact]
    public void There_is_no_such_study() =>
        Assert.Contains("There is no study nowhere.json", Assert.Single(ToolRun.Of("study", "nowhere.json").ErrorLines));

    private string[] Study(params string[] more) =>
    [
        "study", Path.Combine(AppContext.BaseDirectory, "configs", "studies", "smoke.json"), "--data", _runs.Text, "--out", _runs.File("results"), "--work", _runs.File("work"), "--threads", "1", .. more,
    ];
}
