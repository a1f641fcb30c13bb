using CoFrGeNet.Tests;

namespace CoFrGeNet.Training.Tests.Checkpoints;

public sealed class CheckpointFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly RunConfig _config = TrainingSamples.Run("f", training => training with { CheckpointEvery = 2, LadderSchedule = LadderSchedule.Dyadic });
    private readonly RunFolder _run;

    public CheckpointFolderTests() => _run = TrainingSamples.Folder(_folder, _config);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_newest_checkpoints_are_kept()
    {
        Train(8);
        Assert.Equal(["step-00000008", "step-00000006"], Names());
        Assert.Equal(["DONE", "model.safetensors", "optimizer.safetensors", "state.json"], Directory.GetFiles(_run.Checkpoints.Finished[0]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(2, Directory.GetDirectories(Path.GetDirectoryName(_run.Checkpoints.Finished[0])!).Length);
    }

    [Fact]
    public void After_a_damaged_checkpoint_the_run_ends_as_it_would_have()
    {
        Train(6);
        Cut(Path.Combine(_run.Checkpoints.Finished[0], "model.safetensors"));
        using var trainer = Reopen();
        Assert.True(trainer.Resume());
        Assert.Equal(4, trainer.Step);
        trainer.Train();
        using var straight = new Trainer(_config, TrainingSamples.Text);
        straight.Train();
        TrainingSamples.AssertSameWeights(TrainingSamples.Weights(straight.Model), TrainingSamples.Weights(trainer.Model));
        Assert.Equal(["step-00000008", "step-00000006"], Names());
        Assert.True(Reopen().Resume());
    }

    [Fact]
    public void A_damaged_newer_checkpoint_does_not_push_out_new_ones()
    {
        var one = _config with { Training = _config.Training with { KeepCheckpoints = 2 } };
        using (var first = new Trainer(one, TrainingSamples.Text, _run))
        {
            first.Train();
        }

        Cut(Path.Combine(_run.Checkpoints.Finished[0], "model.safetensors"));
        var keepOne = one with { Training = one.Training with { KeepCheckpoints = 1 } };
        using (var second = new Trainer(keepOne, TrainingSamples.Text, _run))
        {
            Assert.True(second.Resume());
            Assert.Equal(6, second.Step);
            second.Train(until: 7);
        }

        using var third = new Trainer(keepOne, TrainingSamples.Text, _run);
        Assert.True(third.Resume());
        Assert.Equal(7, third.Step);
    }

    [Fact]
    public void What_a_crash_left_half_written_is_cleared_away()
    {
        Train(4);
        var partial = _run.Checkpoints.Finished[0] + ".partial-0123";
        Directory.CreateDirectory(partial);
        File.WriteAllText(Path.Combine(partial, "model.safetensors"), "half");
        var observer = new RecordingObserver();
        using var trainer = new Trainer(_config, TrainingSamples.Text, _run, observer);
        Assert.True(trainer.Resume());
        Assert.Equal(4, trainer.Step);
        Assert.False(Directory.Exists(partial));
        Assert.Equal("1 half-written checkpoint cleared away", observer.Messages[0].Text);
    }

    [Fact]
    public void Weights_that_are_no_numbers_are_not_saved_over_good_ones()
    {
        var observer = new RecordingObserver();
        using var trainer = new Trainer(_config, TrainingSamples.Text, _run, observer);
        observer.AfterStep = progress =>
        {
            if (progress.Step == 6)
            {
                using var quiet = TorchSharp.torch.no_grad();
                trainer.Model.named_parameters().First(entry => entry.name == "final_norm.weight").parameter.fill_(double.NaN);
            }
        };
        var error = Assert.Throws<TrainingFailedException>(() => trainer.Train());
        Assert.Contains("'final_norm.weight' are no longer finite numbers after step 6", error.Message, StringComparison.Ordinal);
        Assert.Equal(["step-00000004", "step-00000002"], Names());
    }

    [Fact]
    public void When_none_is_intact_the_user_is_told()
    {
        Train(4);
        foreach (var checkpoint in _run.Checkpoints.Finished)
        {
            Cut(Path.Combine(checkpoint, "state.json"));
        }

        using var trainer = Reopen();
        Assert.Contains("None of the 2 checkpoints", Assert.Throws<UserErrorException>(() => trainer.Resume()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_checkpoint_of_the_same_step_stays_until_the_new_one_is_whole()
    {
        Train(2);
        var path = Assert.Single(_run.Checkpoints.Finished);
        using var trainer = Reopen();
        trainer.Train(until: 2);
        using var optimizer = new AdamW(ComponentGroup.Of(trainer.Model), _config.Training);
        trainer.Model.Dispose();

        // A model that cannot be written stands for a full disk.
        var state = new CheckpointState { Step = 2, Tokens = 128, TextFingerprint = "", Model = _config.Model, ParameterSteps = new Dictionary<string, long>() };
        Assert.ThrowsAny<Exception>(() => _run.Checkpoints.Save(trainer.Model, optimizer, state, new CheckpointRotation(2)));
        Assert.Equal(path, Assert.Single(_run.Checkpoints.Finished));
        using var again = Reopen();
        Assert.True(again.Resume());
    }

    private static void Cut(string file) => File.WriteAllBytes(file, File.ReadAllBytes(file)[..^20]);

    private Trainer Reopen() => new(_config, TrainingSamples.Text, _run);

    private IEnumerable<string?> Names() => _run.Checkpoints.Finished.Select(Path.GetFileName);

    private void Train(int steps)
    {
        using var trainer = Reopen();
        trainer.Train(until: steps);
    }
}
