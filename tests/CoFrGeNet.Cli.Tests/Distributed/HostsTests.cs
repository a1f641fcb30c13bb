using System.Diagnostics;

namespace CoFrGeNet.Cli.Tests.Distributed;

/// <summary>
/// Training on two imitated hosts. Changes the network of the machine for its time and needs root, so it runs only when asked for:
/// <c>CoFrGeNet.Cli.Tests -class "*HostsTests" -explicit only</c>.
/// </summary>
public sealed class HostsTests : IDisposable
{
    private static readonly string[] Endless =
    [
        "--set", "training.steps=1000000", "--set", "training.checkpointEvery=10", "--set", "training.evaluateEvery=1000000", "--set", "training.distributed.timeoutSeconds=5",
    ];

    private readonly TinyRuns _runs = new();
    private readonly ImitatedHosts _hosts;

    public HostsTests()
    {
        RankedTool.RequireOpenMpi();
        _hosts = ImitatedHosts.CreateOrSkip(_runs.Root);
    }

    public void Dispose()
    {
        _hosts.Dispose();
        _runs.Dispose();
    }

    [Fact(Explicit = true)]
    public void Two_hosts_train_as_one_process()
    {
        string[] settings = ["--set", "training.steps=50"];
        ToolRun.Of(_runs.Train("tiny-fu", "one", settings)).Succeeded();
        using var process = _hosts.Start(_runs.Train("tiny-fu", "two", settings));
        var (code, _, error) = process.WaitForExit();
        Assert.True(code == 0, error);
        var pairs = RankedTool.Losses(_runs.File("one")).Zip(RankedTool.Losses(_runs.File("two"))).ToArray();
        Assert.True(pairs.Length >= 50);
        // Sums of float32 in another order, over 50 steps.
        Assert.All(pairs, pair => Assert.Equal(1, pair.Second.Loss / pair.First.Loss, 1e-6));
    }

    [Fact(Explicit = true)]
    public async Task A_cut_link_ends_the_job_with_the_lost_rank_named_and_the_run_goes_on_afterwards()
    {
        using var process = _hosts.Start(_runs.Train("tiny-fu", "run", Endless));
        await process.WaitForError("checkpoint step-00000020");
        var clock = Stopwatch.StartNew();
        ImitatedHosts.Unplug();
        var (code, _, error) = process.WaitForExit();
        TestContext.Current.TestOutputHelper!.WriteLine($"ended {clock.Elapsed.TotalSeconds:F1} seconds after the cut");
        Assert.Equal(1, code);
        Assert.Contains($"rank 1 on {ImitatedHosts.Second} gives no answer", error, StringComparison.Ordinal);
        ImitatedHosts.Plug();
        GoOn();
    }

    [Fact(Explicit = true)]
    public async Task A_killed_rank_on_another_host_ends_the_job_and_the_run_goes_on_afterwards()
    {
        using var process = _hosts.Start(_runs.Train("tiny-fu", "run", Endless));
        await process.WaitForError("checkpoint step-00000020");
        ToolProcess.Signal(RankedTool.ProcessOf(_runs.File("run"), 1), 9);
        var (code, _, error) = process.WaitForExit();
        Assert.Equal(128 + 9, code);
        Assert.Contains("rank 1", error, StringComparison.Ordinal);
        // mpirun calls hosts by what it was given.
        Assert.Contains($"on node {ImitatedHosts.SecondAddress} exited on signal 9", error, StringComparison.Ordinal);
        GoOn();
    }

    private void GoOn()
    {
        var file = _runs.File("run/run.json");
        var last = Directory.GetDirectories(_runs.File("run/checkpoints"), "step-????????").Max(path => int.Parse(path[^8..]));
        File.WriteAllText(file, File.ReadAllText(file).Replace("\"steps\": 1000000", $"\"steps\": {last + 3}", StringComparison.Ordinal));
        using var process = _hosts.Start("train", "--out", _runs.File("run"), "--resume", "--threads", "1");
        var (code, _, error) = process.WaitForExit();
        Assert.True(code == 0, error);
        Assert.Contains($"resumed at step {last}", error, StringComparison.Ordinal);
        Assert.Equal(Enumerable.Range(1, last + 3), RankedTool.Losses(_runs.File("run")).Select(line => line.Step).Distinct());
    }
}
