using System.Text.Json;
using CoFrGeNet.Tests;

namespace CoFrGeNet.Training.Tests;

public sealed class TrainingRunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly RunConfig _config = TrainingSamples.Run("f", training => training with { CheckpointEvery = 2 });

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_failing_disk_or_text_names_the_checkpoint_that_is_left()
    {
        using var run = TrainingRun.Start(Path, _config, TrainingSamples.Text, force: false, FailAt(5, () => new IOException("Input/output error : '/data/shard-7'")));
        var error = Assert.Throws<TrainingFailedException>(() => run.Run(TestContext.Current.CancellationToken));
        Assert.Equal(
            $"The run stopped after step 5: Input/output error : '/data/shard-7'. The checkpoint step-00000004 is intact; mend the cause, then go on with: cofrgenet train --out {Path} --resume",
            error.Message);
    }

    [Fact]
    public void Before_the_first_checkpoint_the_run_starts_again()
    {
        using (var run = TrainingRun.Start(Path, _config, TrainingSamples.Text, force: false, FailAt(1, () => new UnauthorizedAccessException("Access denied."))))
        {
            var error = Assert.Throws<TrainingFailedException>(() => run.Run(TestContext.Current.CancellationToken));
            Assert.Contains("after step 1: Access denied. There is no checkpoint yet", error.Message, StringComparison.Ordinal);
        }

        using var again = TrainingRun.Resume(Path, TrainingSamples.Text);
        Assert.True(again.Run(TestContext.Current.CancellationToken));
        Assert.Equal(Enumerable.Range(1, 8), Lines().Where(line => line.TryGetProperty("loss", out _)).Select(line => line.GetProperty("step").GetInt32()));
    }

    [Fact]
    public void Why_a_training_failed_stands_in_the_log()
    {
        using (var run = TrainingRun.Start(Path, _config, TrainingSamples.Text, force: false, FailAt(5, () => new TrainingFailedException("The loss is NaN."))))
        {
            Assert.Throws<TrainingFailedException>(() => run.Run(TestContext.Current.CancellationToken));
        }

        Assert.Contains(Lines(), line => line.TryGetProperty("message", out var message) && message.GetString() == "The loss is NaN.");
    }

    [Fact]
    public void A_run_has_one_trainer_at_a_time()
    {
        var run = TrainingRun.Start(Path, _config, TrainingSamples.Text, force: false);
        Assert.True(RunLock.IsHeld(Path));
        Assert.Contains("Another process is training", Assert.Throws<UserErrorException>(() => TrainingRun.Resume(Path, TrainingSamples.Text)).Message, StringComparison.Ordinal);
        Assert.Contains("Another process is training", Assert.Throws<UserErrorException>(() => RunFolder.RequireFree(Path, force: true, "or not")).Message, StringComparison.Ordinal);
        run.Dispose();
        Assert.False(RunLock.IsHeld(Path));
        TrainingRun.Resume(Path, TrainingSamples.Text).Dispose();
    }

    [Fact]
    public void What_a_resume_passes_over_stands_in_the_log()
    {
        using (var run = TrainingRun.Start(Path, _config, TrainingSamples.Text, force: false))
        {
            run.Run(TestContext.Current.CancellationToken);
        }

        File.AppendAllText(System.IO.Path.Combine(Path, "checkpoints/step-00000008/state.json"), " ");
        TrainingRun.Resume(Path, TrainingSamples.Text).Dispose();
        var messages = Lines().Where(line => line.TryGetProperty("message", out _)).Select(line => (line.GetProperty("step").GetInt32(), line.GetProperty("message").GetString()!)).ToArray();
        Assert.Contains(messages, message => message.Item1 == 6 && message.Item2.StartsWith("checkpoint step-00000008 skipped: ", StringComparison.Ordinal));
        Assert.Equal((6, "resumed at step 6"), messages[^1]);
    }

    [Fact]
    public void What_a_killed_run_left_half_written_is_no_obstacle()
    {
        // Killed before it had a configuration: nothing of value is there.
        Directory.CreateDirectory(Path);
        var half = System.IO.Path.Combine(Path, $".run.json.{Guid.NewGuid():N}.tmp");
        File.WriteAllText(half, "{");
        using (var run = TrainingRun.Start(Path, _config, TrainingSamples.Text, force: false))
        {
            Assert.False(File.Exists(half));
            run.Run(TestContext.Current.CancellationToken);
        }

        // Killed while it wrote its model and its log.
        Directory.Move(System.IO.Path.Combine(Path, "final"), System.IO.Path.Combine(Path, $"final.partial-{Guid.NewGuid():N}"));
        File.WriteAllText(System.IO.Path.Combine(Path, $".metrics.jsonl.{Guid.NewGuid():N}.tmp"), "{");
        RunFolder.RequireFree(Path, force: true, "or not");
        TrainingRun.Resume(Path, TrainingSamples.Text).Dispose();
        Assert.Equal(
            ["checkpoints", "loss.png", "metrics.jsonl", "run.json", "run.lock", "sample.txt", "tensorboard"],
            Directory.GetFileSystemEntries(Path).Select(System.IO.Path.GetFileName).Order(StringComparer.Ordinal));
    }

    private string Path => _folder.File("run");

    private static RecordingObserver FailAt(int step, Func<Exception> error) =>
        new() { AfterStep = progress => { if (progress.Step == step) { throw error(); } } };

    private JsonElement[] Lines() => [.. File.ReadAllLines(System.IO.Path.Combine(Path, "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)];
}
