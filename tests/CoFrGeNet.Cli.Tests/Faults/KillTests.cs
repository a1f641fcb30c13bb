using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace CoFrGeNet.Cli.Tests.Faults;

/// <summary>
/// A training process that is killed with SIGKILL at random moments and resumed each time ends with the bits of one that was not. The
/// number of kills is 10, or what COFRGENET_KILLS says; the moments follow COFRGENET_SEED or the clock.
/// </summary>
public sealed class KillTests : IDisposable
{
    private const string KillsVariable = "COFRGENET_KILLS";
    private const string SeedVariable = "COFRGENET_SEED";

    // Kills beyond those asked for, until one has come while a checkpoint was written.
    private const int MostMore = 60;

    // A checkpoint after every second step, so that most of the time goes into writing them; the spike rule and the ladder schedule have state.
    private static readonly string[] Settings =
    [
        "--set", "training.steps=300", "--set", "training.checkpointEvery=2", "--set", "training.evaluateEvery=7", "--set", "training.logEvery=1",
        "--set", "training.ladderSchedule=dyadic", "--set", "training.spikes.lossSigmas=1.2", "--set", "training.spikes.window=20",
        "--set", "training.spikes.mostInARow=50",
    ];

    private readonly TinyRuns _runs = new();
    private readonly int _seed = Number(SeedVariable) ?? Environment.TickCount & int.MaxValue;
    private readonly Random _random;
    private int _atStart;
    private int _inCheckpoint;
    private int _afterEnd;

    public KillTests() => _random = new Random(_seed);

    public void Dispose() => _runs.Dispose();

    [Fact]
    public void A_run_killed_at_random_moments_ends_with_the_bits_of_one_that_was_not()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "SIGKILL is a matter of Unix");
        var kills = Number(KillsVariable) ?? 10;
        ToolRun.Of(_runs.Train("tiny-fu", "whole", Settings)).Succeeded();
        int done = 0, runs = 0;
        while (done < kills || (_inCheckpoint == 0 && done < kills + MostMore))
        {
            done += KillUntilFinished($"run{runs++}", Math.Max(5, kills - done));
        }

        TestContext.Current.TestOutputHelper!.WriteLine(
            $"seed {_seed}: {done} kills in {runs} runs, {_inCheckpoint} of them left a half-written checkpoint, {_atStart} came before the first step, {_afterEnd} after the last");
        // From 1 in 4 to 1 in 2 kills do, so that none of 70 should is a chance of less than 1 in 100 million.
        Assert.True(_inCheckpoint > 0, $"seed {_seed}: no kill came while a checkpoint was written");
    }

    // Kills a run again and again, at most so many times; then lets it end and compares it.
    private int KillUntilFinished(string run, int most)
    {
        var kills = 0;
        while (kills < most && !Directory.Exists(_runs.File(run + "/final")))
        {
            using var process = ToolProcess.Start(Command(run));
            WaitForMoment(process);
            if (process.Kill())
            {
                kills++;
                Count(run, process);
            }
        }

        using (var last = ToolProcess.Start(Command(run)))
        {
            var (code, _, error) = last.WaitForExit();
            Assert.True(code == 0, $"seed {_seed}, exit code {code}: {error}");
        }

        AssertSame("whole", run);
        return kills;
    }

    private string[] Command(string run) => File.Exists(_runs.File(run + "/run.json"))
        ? ["train", "--out", _runs.File(run), "--resume", "--threads", "1"]
        : _runs.Train("tiny-fu", run, Settings);

    // One in ten anywhere in the start, the others some steps after it.
    private void WaitForMoment(ToolProcess process)
    {
        var clock = Stopwatch.StartNew();
        if (_random.Next(10) > 0)
        {
            while (!process.HasError("checkpoint step-") && !process.HasExited && clock.Elapsed < TimeSpan.FromSeconds(60))
            {
                Thread.Sleep(1);
            }

            clock.Restart();
        }

        var wait = TimeSpan.FromMilliseconds(_random.NextDouble() * 500);
        while (clock.Elapsed < wait && !process.HasExited)
        {
            Thread.Sleep(0);
        }
    }

    private void Count(string run, ToolProcess process)
    {
        var checkpoints = _runs.File(run + "/checkpoints");
        _inCheckpoint += Directory.Exists(checkpoints) && Directory.GetDirectories(checkpoints, "step-*.partial-*").Length > 0 ? 1 : 0;
        _atStart += process.HasError("step ") ? 0 : 1;
        _afterEnd += process.HasError("step 300: checkpoint") ? 1 : 0;
    }

    private void AssertSame(string expected, string actual)
    {
        foreach (var file in new[] { "final/model.safetensors", "checkpoints/step-00000300/model.safetensors", "checkpoints/step-00000300/optimizer.safetensors", "sample.txt" })
        {
            Assert.True(
                File.ReadAllBytes(_runs.File($"{expected}/{file}")).AsSpan().SequenceEqual(File.ReadAllBytes(_runs.File($"{actual}/{file}"))), $"seed {_seed}: {actual}/{file} differs");
        }

        // The position, the spike rule's memory, the best checkpoint: everything beside the tensors.
        Assert.Equal(File.ReadAllText(_runs.File(expected + "/checkpoints/step-00000300/state.json")), File.ReadAllText(_runs.File(actual + "/checkpoints/step-00000300/state.json")));
        var lines = Metrics(expected);
        Assert.Equal(Enumerable.Range(1, 300).Select(step => (int?)step), lines.Select(line => line.Loss is null ? null : (int?)line.Step).Where(step => step is not null));
        Assert.Equal(lines, Metrics(actual));
        Assert.Contains(lines, line => line.Skipped is not null);
        Assert.Empty(Directory.GetFileSystemEntries(_runs.File(actual), "*.tmp").Concat(Directory.GetFileSystemEntries(_runs.File(actual), "*.partial-*")));
    }

    // What must be equal: not the speed, the time, and what is said about stops.
    private List<(int Step, string? Loss, string? Norm, string? Validation, string? Skipped)> Metrics(string run)
    {
        var lines = new List<(int, string?, string?, string?, string?)>();
        foreach (var text in File.ReadLines(_runs.File(run + "/metrics.jsonl")))
        {
            using var line = JsonDocument.Parse(text);
            string? Text(string member) => line.RootElement.TryGetProperty(member, out var value) ? value.GetRawText() : null;
            if (Text("message") is null)
            {
                lines.Add((line.RootElement.GetProperty("step").GetInt32(), Text("loss"), Text("gradientNorm"), Text("validationLoss"), Text("skipped")));
            }
        }

        return lines;
    }

    private static int? Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
