using System.Runtime.InteropServices;
using System.Text.Json;

namespace CoFrGeNet.Cli.Tests.Verbs;

public sealed class TrainTests : IDisposable
{
    private readonly TinyRuns _runs = new();

    public void Dispose() => _runs.Dispose();

    [Fact]
    public void Training_leaves_a_model_that_generates_and_says_so_in_one_document()
    {
        var train = ToolRun.Of(_runs.Train("tiny-fu", "run", "--json")).Succeeded();
        Assert.Equal((12, 768), (train.Json.GetProperty("step").GetInt32(), train.Json.GetProperty("tokens").GetInt32()));
        Assert.InRange(train.Json.GetProperty("validationLoss").GetDouble(), 1, 5.6);
        Assert.True(train.Json.GetProperty("tokensPerSecond").GetDouble() > 0);
        Assert.Equal(_runs.File("run"), train.Json.GetProperty("folder").GetString());
        Assert.Contains("step 4: validation loss", train.Error);
        Assert.Contains("step 12/12", train.Error);
        foreach (var file in new[] { "run.json", "metrics.jsonl", "loss.png", "sample.txt", "final/config.json", "final/model.safetensors" })
        {
            Assert.True(File.Exists(_runs.File("run/" + file)), file);
        }

        string[] generate = ["generate", "--model", _runs.File("run/final"), "--prompt", "Li", "--max-tokens", "5", "--threads", "1"];
        var document = ToolRun.Of([.. generate, "--seed", "7", "--json"]).Succeeded().Json;
        Assert.Equal("Li", document.GetProperty("prompt").GetString());
        Assert.Contains(document.GetProperty("finishReason").GetString(), new[] { "stop", "length" });
        Assert.InRange(document.GetProperty("tokens").GetArrayLength(), 0, 5);
        Assert.Equal(document.GetProperty("text").GetString(), ToolRun.Of([.. generate, "--seed", "7", "--json"]).Json.GetProperty("text").GetString());
        var plain = ToolRun.Of([.. generate, "--temperature", "0"]).Succeeded();
        Assert.StartsWith("Li", plain.Output);
        Assert.Contains("greedy", plain.Error);
        Assert.Contains("seed ", ToolRun.Of(generate).Succeeded().Error);
    }

    [Fact]
    public void A_run_interrupted_and_resumed_equals_one_that_was_not()
    {
        string[] dyadic = ["--set", "training.ladderSchedule=dyadic"];
        ToolRun.Of(_runs.Train("tiny-fu", "whole", dyadic)).Succeeded();
        using var stop = new CancellationTokenSource();
        using var error = new CancellingWriter("step 4: validation", stop);
        var interrupted = ToolRun.Of(error, stop.Token, _runs.Train("tiny-fu", "parts", [.. dyadic, "--json"]));
        Assert.Equal(130, interrupted.Code);
        Assert.Equal(4, interrupted.Json.GetProperty("step").GetInt32());
        Assert.Contains($"cofrgenet train --out {_runs.File("parts")} --resume", interrupted.Error);
        Assert.False(Directory.Exists(_runs.File("parts/final")));

        var resumed = ToolRun.Of("train", "--out", _runs.File("parts"), "--resume", "--threads", "1").Succeeded();
        Assert.Contains("resumed at step 4", resumed.Error);
        Assert.Contains("ladder level 1 of 2 is trained from here on", resumed.Error);
        Assert.Equal(Metrics("whole"), Metrics("parts"));
        Assert.Equal(File.ReadAllBytes(_runs.File("whole/final/model.safetensors")), File.ReadAllBytes(_runs.File("parts/final/model.safetensors")));
    }

    [Fact]
    public void A_resume_notices_another_text()
    {
        using var stop = new CancellationTokenSource();
        using var error = new CancellingWriter("step 4: validation", stop);
        Assert.Equal(130, ToolRun.Of(error, stop.Token, _runs.Train("tiny", "run")).Code);
        File.WriteAllText(_runs.Text, File.ReadAllText(_runs.Text).Replace("says", "sings", StringComparison.Ordinal));
        var resumed = ToolRun.Of("train", "--out", _runs.File("run"), "--resume", "--threads", "1");
        Assert.Equal(2, resumed.Code);
        Assert.Contains("is not the one that the run in", resumed.Error);
    }

    [Fact]
    public void A_run_that_diverges_ends_with_its_checkpoint()
    {
        var run = ToolRun.Of(_runs.Train("tiny", "wild", "--set", "training.learningRate=1000", "--json"));
        Assert.DoesNotContain("own mistake", run.Error);
        Assert.Contains(run.Code, new[] { 0, 1 });
        if (run.Code == 0)
        {
            Assert.Equal(12, run.Json.GetProperty("step").GetInt32());
        }
    }

    [Fact]
    public async Task A_signal_saves_and_stops()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are sent with kill");
        using var process = ToolProcess.Start(_runs.Train("tiny", "run", "--set", "training.steps=100000", "--set", "training.evaluateEvery=20"));
        await process.WaitForError("validation loss");
        process.Signal(PosixSignal.SIGINT);
        var (code, output, error) = process.WaitForExit();
        Assert.Equal(130, code);
        Assert.Empty(output);
        Assert.Contains("--resume", error);
        Assert.NotEmpty(Directory.GetDirectories(_runs.File("run/checkpoints"), "step-*"));
    }

    [Fact]
    public async Task A_second_signal_stops_at_once()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are sent with kill");
        // One step of this run takes minutes, so nothing could end it but the second signal.
        using var process = ToolProcess.Start(_runs.Train("tiny", "run", "--set", "training.tokensPerStep=64000000"));
        await process.WaitForError("run in ");
        process.Signal(PosixSignal.SIGTERM);
        await process.WaitForError("once more stops at once");
        process.Signal(PosixSignal.SIGINT);
        Assert.Equal(130, process.WaitForExit().Code);
        Assert.False(Directory.Exists(_runs.File("run/checkpoints")));
    }

    [Fact]
    public void A_dry_run_tells_what_the_run_takes_and_writes_nothing()
    {
        var plan = ToolRun.Of(_runs.Train("tiny", "run", "--dry-run", "--json")).Succeeded().Json;
        Assert.Equal((12, 64, 768), (plan.GetProperty("steps").GetInt32(), plan.GetProperty("tokensPerStep").GetInt32(), plan.GetProperty("tokens").GetInt32()));
        Assert.True(plan.GetProperty("tokensPerSecond").GetDouble() > 0);
        Assert.True(plan.GetProperty("minimumMemoryBytes").GetInt64() > 16 * plan.GetProperty("parameters").GetInt64());
        Assert.False(Directory.Exists(_runs.File("run")));
        Assert.Contains("duration", ToolRun.Of(_runs.Train("tiny", "run", "--dry-run")).Succeeded().Output);
    }

    [Fact]
    public void Force_replaces_a_run_and_a_configuration_file_names_one()
    {
        ToolRun.Of(_runs.Train("tiny", "run")).Succeeded();
        var file = _runs.Write("mine.json", JsonSerializer.Serialize(new { preset = "tiny-gate", data = new { source = _runs.Text } }));
        ToolRun.Of(["train", "--config", file, "--out", _runs.File("run"), "--force", "--threads", "1", .. TinyRuns.Small]).Succeeded();
        Assert.Contains("gatedLinear", File.ReadAllText(_runs.File("run/run.json")));
    }

    // Step, loss, gradient norm and validation loss of every line that has one of them.
    private List<string> Metrics(string run)
    {
        var lines = new List<string>();
        foreach (var line in File.ReadLines(_runs.File($"{run}/metrics.jsonl")))
        {
            using var document = JsonDocument.Parse(line);
            var members = new[] { "step", "loss", "gradientNorm", "activeLevels", "validationLoss" }
                .Select(name => document.RootElement.TryGetProperty(name, out var value) ? value.GetRawText() : "-").ToArray();
            if (members[1] != "-" || members[4] != "-")
            {
                lines.Add(string.Join(' ', members));
            }
        }

        Assert.Equal(15, lines.Count);
        return lines;
    }
}
