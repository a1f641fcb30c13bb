using CoFrGeNet.Tests;

namespace CoFrGeNet.Training.Tests.Checkpoints;

public sealed class CheckpointRotationTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1, 0, "8")]
    [InlineData(3, 0, "8 7 6")]
    [InlineData(1, 3, "8 6 3")]
    [InlineData(2, 4, "8 7 4")]
    public void The_newest_and_every_nth_are_kept(int newest, int every, string expected) =>
        Assert.Equal(expected, Train(training => training with { KeepCheckpoints = newest, KeepCheckpointsEvery = every, KeepBestCheckpoint = false }));

    [Fact]
    public void The_best_by_validation_loss_is_kept_also_across_a_resume()
    {
        // A learning rate that ruins the model after the warm-up: the lowest loss is an early one.
        var config = Config(training => training with { KeepCheckpoints = 1, EvaluateEvery = 1, LearningRate = 3, WarmupSteps = 8 });
        var observer = new RecordingObserver();
        var run = TrainingSamples.Folder(_folder, config);
        for (var until = 3; until <= 9; until += 3)
        {
            using var trainer = new Trainer(config, TrainingSamples.Text, run, observer);
            trainer.Resume();
            trainer.Train(until);
        }

        var best = observer.Evaluations.MinBy(evaluation => evaluation.Result.Loss).Step;
        Assert.InRange(best, 1, 7);
        Assert.Equal([8, best], run.Checkpoints.Finished.Select(CheckpointFolder.StepOf));
    }

    [Fact]
    public void A_checkpoint_counts_by_the_last_evaluation_before_it()
    {
        // Evaluations at 3 and 6; the later one is better, and 6 is the first checkpoint after it.
        Assert.Equal("8 6", Train(training => training with { KeepCheckpoints = 1, EvaluateEvery = 3, EvaluationTokens = 16, Steps = 9 }, until: 8));
    }

    [Fact]
    public void The_order_goes_by_number()
    {
        var run = TrainingSamples.Folder(_folder, TrainingSamples.Run());
        foreach (var name in new[] { "step-99999999", "step-100000000", "step-00000005", "step-x", "other" })
        {
            Directory.CreateDirectory(Path.Combine(run.FullPath, "checkpoints", name));
            File.WriteAllText(Path.Combine(run.FullPath, "checkpoints", name, CheckpointManifest.FileName), "");
        }

        Assert.Equal([100000000, 99999999, 5], run.Checkpoints.Finished.Select(CheckpointFolder.StepOf));
    }

    private static RunConfig Config(Func<TrainingConfig, TrainingConfig> change) => TrainingSamples.Run("f", training => change(training with { CheckpointEvery = 1 }));

    private string Train(Func<TrainingConfig, TrainingConfig> change, int? until = null)
    {
        var config = Config(change);
        var run = TrainingSamples.Folder(_folder, config);
        using var trainer = new Trainer(config, TrainingSamples.Text, run);
        trainer.Train(until);
        return string.Join(' ', run.Checkpoints.Finished.Select(CheckpointFolder.StepOf));
    }
}
