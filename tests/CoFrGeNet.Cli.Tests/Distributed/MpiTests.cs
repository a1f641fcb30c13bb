using System.Text.Json;

namespace CoFrGeNet.Cli.Tests.Distributed;

/// <summary>Training by several processes under mpirun, against the same training in one.</summary>
public sealed class MpiTests : IDisposable
{
    private const int Kill = 9;
    private const int Term = 15;
    private const int Stop = 19;

    // The bound of the difference over 50 steps in float32; sums are taken in another order.
    private const double Tolerance = 1e-6;

    private static readonly string[] Fifty =
    [
        "--set", "training.tokensPerStep=128", "--set", "training.steps=50", "--set", "training.checkpointEvery=25", "--set", "training.evaluateEvery=25",
        "--set", "training.ladderSchedule=dyadic",
    ];

    private static readonly string[] Endless =
    [
        "--set", "training.steps=1000000", "--set", "training.checkpointEvery=10", "--set", "training.evaluateEvery=1000000", "--set", "training.distributed.timeoutSeconds=3",
    ];

    private readonly TinyRuns _runs = new();

    public MpiTests() => RankedTool.RequireOpenMpi();

    public void Dispose() => _runs.Dispose();

    [Fact]
    public void Two_ranks_train_as_one_process_and_leave_the_same_files()
    {
        ToolRun.Of(_runs.Train("tiny-fa", "one", Fifty)).Succeeded();
        Succeed(2, _runs.Train("tiny-fa", "two", Fifty));
        AssertSameLosses("one", "two", 0);
        Assert.Equal(Names("one"), Names("two"));
    }

    [Fact]
    public void Four_ranks_with_a_sharded_optimizer_train_as_one_and_go_on_as_one_or_two()
    {
        string[] sharded = [.. Fifty, "--set", "training.distributed.sharding=optimizer", "--json"];
        var whole = Bytes(ToolRun.Of(_runs.Train("tiny-fa", "one", [.. Fifty, "--json"])).Output);
        var part = Bytes(Succeed(4, _runs.Train("tiny-fa", "four", sharded)));
        Assert.InRange(part, 0.9 * whole / 4, 1.1 * whole / 4);
        AssertSameLosses("one", "four", 0);

        // From the middle once more, with other numbers of ranks.
        foreach (var ranks in new[] { 1, 2 })
        {
            var run = $"again{ranks}";
            CopyUntil25("four", run);
            Succeed(ranks, "train", "--out", _runs.File(run), "--resume", "--threads", "1");
            AssertSameLosses("four", run, 25);
        }
    }

    [Fact]
    public void Ranks_that_are_not_about_to_do_the_same_are_refused_with_what_differs()
    {
        var script = _runs.Write("rank.sh", "#!/bin/sh\nif [ \"$OMPI_COMM_WORLD_RANK\" = 1 ]; then exec \"$@\" --set training.learningRate=0.5; fi\nexec \"$@\"\n");
        using var process = RankedTool.Start(2, [], ["sh", script, .. RankedTool.Tool], _runs.Train("tiny", "run"));
        var (code, _, error) = process.WaitForExit();
        Assert.Equal(2, code);
        Assert.Contains("The ranks are not about to do the same: training.learningRate is 0.002 on rank 0", error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_runs.File("run")));
    }

    [Fact]
    public void A_mistake_is_told_once_and_ends_all_ranks()
    {
        using var process = RankedTool.Start(2, _runs.Train("tiny", "run", "--set", "training.stepz=3"));
        var (code, _, error) = process.WaitForExit();
        Assert.Equal(2, code);
        Assert.Equal(2, error.Split("stepz").Length);
    }

    [Fact]
    public async Task A_killed_rank_ends_the_job_and_the_run_goes_on_afterwards()
    {
        using var process = await StartAndSignal("run", Kill);
        var (code, _, error) = process.WaitForExit();

        // mpirun ends the others and tells of the rank in its own words; its code is that of the signal.
        Assert.Equal(128 + Kill, code);
        Assert.Contains("rank 1", error, StringComparison.Ordinal);
        Assert.Contains("signal 9", error, StringComparison.Ordinal);
        GoOn("run");
    }

    [Fact]
    public async Task A_rank_that_hangs_is_named_with_its_host_and_the_reason()
    {
        using var process = await StartAndSignal("run", Stop);
        var (code, _, error) = process.WaitForExit();
        Assert.Equal(1, code);
        Assert.Contains($"rank 1 on {Environment.MachineName} gives no answer", error, StringComparison.Ordinal);
        Assert.Contains("gives no answer", File.ReadAllText(_runs.File("run/metrics.jsonl")), StringComparison.Ordinal);
        GoOn("run");
    }

    [Fact]
    public async Task A_signal_to_one_rank_saves_and_stops_all()
    {
        using var process = await StartAndSignal("run", Term);
        var (code, _, error) = process.WaitForExit();
        Assert.Equal(130, code);
        Assert.Contains("saved; go on with: cofrgenet train --out", error, StringComparison.Ordinal);
        GoOn("run");
    }

    [Fact]
    public void Other_launchers_are_refused_with_what_to_do()
    {
        using var process = ToolProcess.StartProgram("env", ["RANK=0", "WORLD_SIZE=2", .. RankedTool.Tool, .. _runs.Train("tiny", "run")]);
        var (code, _, error) = process.WaitForExit();
        Assert.Equal(2, code);
        Assert.Contains("start them with 'mpirun -n 2'", error, StringComparison.Ordinal);
    }

    private static string Succeed(int ranks, params string[] arguments)
    {
        using var process = RankedTool.Start(ranks, arguments);
        var (code, output, error) = process.WaitForExit();
        Assert.True(code == 0, error);
        return output;
    }

    private async Task<ToolProcess> StartAndSignal(string run, int signal)
    {
        var process = RankedTool.Start(2, _runs.Train("tiny", run, Endless));
        await process.WaitForError("checkpoint step-00000020");
        ToolProcess.Signal(RankedTool.ProcessOf(_runs.File(run), 1), signal);
        return process;
    }

    private void GoOn(string run)
    {
        var file = _runs.File(run + "/run.json");
        var last = Directory.GetDirectories(_runs.File(run + "/checkpoints"), "step-????????").Max(path => int.Parse(path[^8..]));
        File.WriteAllText(file, File.ReadAllText(file).Replace("\"steps\": 1000000", $"\"steps\": {last + 3}", StringComparison.Ordinal));
        Succeed(2, "train", "--out", _runs.File(run), "--resume", "--threads", "1");
        Assert.Equal(Enumerable.Range(1, last + 3), RankedTool.Losses(_runs.File(run)).Select(line => line.Step).Distinct());
    }

    private void AssertSameLosses(string expected, string actual, int after)
    {
        var pairs = RankedTool.Losses(_runs.File(expected)).Zip(RankedTool.Losses(_runs.File(actual))).Where(pair => pair.First.Step > after).ToArray();
        Assert.InRange(pairs.Length, 50 - after, 53);
        Assert.All(pairs, pair => Assert.Equal(pair.First.Step, pair.Second.Step));
        Assert.All(pairs, pair => Assert.Equal(1, pair.Second.Loss / pair.First.Loss, Tolerance));
        TestContext.Current.TestOutputHelper!.WriteLine($"{expected} and {actual}: largest relative difference {pairs.Max(pair => Math.Abs((pair.Second.Loss / pair.First.Loss) - 1)):G3}");
    }

    private IEnumerable<string> Names(string run) => Directory.GetFiles(_runs.File(run), "*", SearchOption.AllDirectories)
        .Select(path => Path.GetRelativePath(_runs.File(run), path)).Where(name => !name.StartsWith("tensorboard", StringComparison.Ordinal)).Order();

    private static long Bytes(string json)
    {
        // mpirun's terminal may put control characters in front.
        using var document = JsonDocument.Parse(json[json.IndexOf('{')..(json.LastIndexOf('}') + 1)]);
        return document.RootElement.GetProperty("optimizerBytes").GetInt64();
    }

    // As a kill just after the checkpoint of step 25 leaves it.
    private void CopyUntil25(string run, string copy)
    {
        foreach (var file in Directory.GetFiles(_runs.File(run), "*", SearchOption.AllDirectories).Where(file => !file.Contains("step-00000050") && !file.Contains("/final/")))
        {
            var target = file.Replace(_runs.File(run), _runs.File(copy), StringComparison.Ordinal);
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
    }
}
