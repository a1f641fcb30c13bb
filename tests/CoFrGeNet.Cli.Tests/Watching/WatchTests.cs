using System.Text.Json;

namespace CoFrGeNet.Cli.Tests.Watching;

public sealed class WatchTests : IDisposable
{
    private readonly TinyRuns _runs = new();

    public void Dispose() => _runs.Dispose();

    [Fact]
    public void A_finished_run_is_shown_and_the_watch_ends()
    {
        ToolRun.Of(_runs.Train("tiny-f", "run", "--set", "training.ladderSchedule=dyadic")).Succeeded();
        var plain = ToolRun.Of("watch", _runs.File("run")).Succeeded();
        Assert.Contains("step 12/12", plain.Error);
        foreach (var text in new[] { "finished", "12 of 12", "768 of 768", "step-00000012", "ladder levels", "● is validation", "768 tokens" })
        {
            Assert.Contains(text, plain.Output);
        }

        Assert.DoesNotContain("\u001b", plain.Output);
        var run = Assert.Single(ToolRun.Of("watch", _runs.File("run"), "--json", "--once").Succeeded().Json.GetProperty("runs").EnumerateArray());
        Assert.Equal(("finished", 12, 12, 768), (run.GetProperty("state").GetString(), run.GetProperty("step").GetInt32(), run.GetProperty("steps").GetInt32(), run.GetProperty("tokens").GetInt32()));
        Assert.Equal([256, 512, 768], run.GetProperty("validationCurve").EnumerateArray().Select(point => point.GetProperty("tokens").GetInt32()));
        Assert.Equal(12, run.GetProperty("trainingCurve").GetArrayLength());
        Assert.Equal(run.GetProperty("validationCurve").EnumerateArray().Min(point => point.GetProperty("loss").GetDouble()), run.GetProperty("bestValidationLoss").GetDouble());
        Assert.Equal("step-00000012", run.GetProperty("lastCheckpoint").GetString());
        Assert.Equal(2, run.GetProperty("levels").GetInt32());
    }

    [Fact]
    public async Task A_run_is_followed_while_it_is_written_and_after_it_is_killed()
    {
        using var process = ToolProcess.Start(_runs.Train("tiny", "run", "--set", "training.steps=100000", "--set", "training.checkpointEvery=10"));
        await process.WaitForError("checkpoint step-");
        Assert.Equal(("running", 100000), State(ToolRun.Of("watch", _runs.File("run"), "--once", "--json")));

        using var watch = ToolProcess.Start("watch", _runs.File("run"), "--json");
        await watch.WaitForError("run: running");
        Assert.True(process.Kill());
        var (code, output, error) = watch.WaitForExit();
        Assert.Equal(0, code);
        Assert.Contains("run: stopped", error);
        using var document = JsonDocument.Parse(output);
        var run = document.RootElement.GetProperty("runs")[0];
        Assert.Equal("stopped", run.GetProperty("state").GetString());
        Assert.StartsWith("step-", run.GetProperty("lastCheckpoint").GetString());
        Assert.Contains($"not running; go on with: cofrgenet train --out {_runs.File("run")} --resume", ToolRun.Of("watch", _runs.File("run"), "--once").Output);
    }

    [Fact]
    public void Runs_are_compared_and_a_folder_of_runs_stands_for_them()
    {
        ToolRun.Of(_runs.Train("tiny", "both/plain")).Succeeded();
        ToolRun.Of(_runs.Train("tiny-gate", "both/gate")).Succeeded();
        var both = ToolRun.Of("watch", _runs.File("both/plain"), _runs.File("both/gate"), "--once").Succeeded().Output;
        Assert.Contains("a (plain), b (gate) is validation", both);
        Assert.Equal(both, ToolRun.Of("watch", _runs.File("both"), "--once").Succeeded().Output);
    }

    [Fact]
    public void What_is_no_run_is_the_users_mistake()
    {
        var run = ToolRun.Of("watch", _runs.File("nothing"));
        Assert.Equal(2, run.Code);
        Assert.Contains("holds no run", Assert.Single(run.ErrorLines));
        Assert.Equal(2, ToolRun.Of("watch").Code);
    }

    private static (string?, int) State(ToolRun watch)
    {
        var run = watch.Succeeded().Json.GetProperty("runs")[0];
        return (run.GetProperty("state").GetString(), run.GetProperty("steps").GetInt32());
    }
}
