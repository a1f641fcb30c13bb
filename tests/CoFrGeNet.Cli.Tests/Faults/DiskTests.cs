using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace CoFrGeNet.Cli.Tests.Faults;

/// <summary>Disks that are full, files that may not grow, and texts that cannot be read: exit code, one clear line, and a run that goes on afterwards.</summary>
public sealed partial class DiskTests : IDisposable
{
    private const int FileSizeResource = 1;

    private static readonly string[] Settings = ["--set", "training.steps=2000", "--set", "training.checkpointEvery=5", "--set", "training.logEvery=1"];

    private readonly TinyRuns _runs = new();

    public void Dispose() => _runs.Dispose();

    [Fact]
    public void A_full_disk_stops_the_run_and_leaves_the_last_checkpoint()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "a file system of a given size is mounted, which takes root on Linux");
        Directory.CreateDirectory(_runs.File("disk"));
        Assert.SkipWhen(Command("mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", _runs.File("disk")) != 0, "mounting is not allowed here; a privileged container allows it");
        try
        {
            var run = ToolRun.Of(_runs.Train("tiny-fu", "disk/run", Settings));
            Assert.Equal(1, run.Code);
            var step = AssertStopped(run.ErrorLines[^1], "No space left on device", "disk/run");

            // Nothing is half there, and with more room the run goes on from that checkpoint.
            Assert.Empty(Directory.GetDirectories(_runs.File("disk/run/checkpoints"), "*.partial-*"));
            Assert.Equal(0, Command("mount", "-o", "remount,size=60m", _runs.File("disk")));
            AssertGoesOn("disk/run", step);
        }
        finally
        {
            Assert.Equal(0, Command("umount", _runs.File("disk")));
        }
    }

    [Fact]
    public async Task A_limit_on_file_sizes_stops_the_run_like_a_full_disk()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the limit is set with prlimit");
        using var process = ToolProcess.Start(_runs.Train("tiny-fu", "run", Settings));
        await process.WaitForError("checkpoint step-00000010");

        // Not before the start: the runtime maps files of its own that are larger. The optimizer's file has 120,528 bytes, the log outgrows that too.
        var limit = new Limit(125_000, 125_000);
        Assert.Equal(0, SetLimit(process.Id, FileSizeResource, in limit, IntPtr.Zero));
        var (code, _, error) = process.WaitForExit();
        Assert.True(code == 1, $"exit code {code}: {error}");
        var step = AssertStopped(error.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1], "a file cannot grow further", "run");
        AssertGoesOn("run", step);
    }

    [Fact]
    public void A_text_that_cannot_be_read_is_told_before_a_folder_is_made()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "a file that always gives an input error is known on Linux only");

        // The first page of a process is never mapped, so reading it is an input error, as on a dying disk.
        var run = ToolRun.Of("train", "--preset", "tiny", "--data", "/proc/self/mem", "--out", _runs.File("run"), "--threads", "1");
        Assert.Equal(2, run.Code);
        Assert.Contains("/proc/self/mem", Assert.Single(run.ErrorLines));
        Assert.Contains("Input/output error", run.Error);
        Assert.False(Directory.Exists(_runs.File("run")));
    }

    [Fact]
    public void A_text_that_vanished_stops_a_resume_and_not_the_run_at_hand()
    {
        using var stop = new CancellationTokenSource();
        using var error = new CancellingWriter("step 8: validation", stop);
        using var vanish = new VanishingText(error, _runs.Text);
        Assert.Equal(130, ToolRun.Of(vanish, stop.Token, _runs.Train("tiny", "run")).Code);
        Assert.False(File.Exists(_runs.Text));
        var run = ToolRun.Of("train", "--out", _runs.File("run"), "--resume", "--threads", "1");
        Assert.Equal(2, run.Code);
        Assert.Contains(_runs.Text, Assert.Single(run.ErrorLines));
        Assert.Equal(["step-00000008"], Directory.GetDirectories(_runs.File("run/checkpoints")).Select(Path.GetFileName));
    }

    [Fact]
    public async Task A_run_that_another_process_trains_is_left_alone()
    {
        using var process = ToolProcess.Start(_runs.Train("tiny", "run", "--set", "training.steps=100000", "--set", "training.checkpointEvery=10"));
        await process.WaitForError("checkpoint step-");
        string[] resume = ["train", "--out", _runs.File("run"), "--resume", "--threads", "1"];
        foreach (var arguments in new[] { resume, _runs.Train("tiny", "run", "--force") })
        {
            var run = ToolRun.Of(arguments);
            Assert.Equal(2, run.Code);
            Assert.Contains($"Another process is training the run in {_runs.File("run")}", Assert.Single(run.ErrorLines));
        }

        Assert.True(process.Kill());
        using var stop = new CancellationTokenSource();
        using var error = new CancellingWriter(": validation loss", stop);
        Assert.Equal(130, ToolRun.Of(error, stop.Token, resume).Code);
    }

    private int AssertStopped(string line, string reason, string run)
    {
        Assert.StartsWith("The run stopped after step ", line);
        Assert.Contains(reason, line);
        Assert.EndsWith($"go on with: cofrgenet train --out {_runs.File(run)} --resume", line);
        var newest = Directory.GetDirectories(_runs.File(run + "/checkpoints"), "step-*").Order(StringComparer.Ordinal).Last();
        Assert.Contains($"The checkpoint {Path.GetFileName(newest)} is intact", line);
        return int.Parse(Path.GetFileName(newest)["step-".Length..], CultureInfo.InvariantCulture);
    }

    private void AssertGoesOn(string run, int step)
    {
        using var stop = new CancellationTokenSource();
        using var error = new CancellingWriter(": validation loss", stop);
        var resumed = ToolRun.Of(error, stop.Token, "train", "--out", _runs.File(run), "--resume", "--threads", "1");
        Assert.Equal(130, resumed.Code);
        Assert.Contains($"resumed at step {step}", resumed.Error);
        var steps = File.ReadLines(_runs.File(run + "/metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)
            .Where(line => line.TryGetProperty("loss", out _)).Select(line => line.GetProperty("step").GetInt32()).ToArray();
        Assert.True(steps.Length > step);
        Assert.Equal(Enumerable.Range(1, steps.Length), steps);
    }

    private static int Command(string name, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(name, arguments) { RedirectStandardError = true })!;
        process.WaitForExit();
        return process.ExitCode;
    }

    [LibraryImport("libc", EntryPoint = "prlimit64")]
    private static partial int SetLimit(int process, int resource, in Limit limit, IntPtr old);

    private readonly record struct Limit(ulong Soft, ulong Hard);

    // Deletes the text as soon as the run is under way.
    private sealed class VanishingText(StringWriter next, string text) : StringWriter
    {
        public override void WriteLine(string? value)
        {
            next.WriteLine(value);
            if (value?.Contains("step 4: validation", StringComparison.Ordinal) == true)
            {
                System.IO.File.Delete(text);
            }
        }

        public override string ToString() => next.ToString();
    }
}
