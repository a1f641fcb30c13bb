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

    public static TheoryData<string, string> Damages => new()
    {
        { "model.safetensors", "cut" },
        { "model.safetensors", "gone" },
        { "model.safetensors", "empty" },
        { "optimizer.safetensors", "cut" },
        { "optimizer.safetensors", "gone" },
        { "optimizer.safetensors", "stranger" },
        { "state.json", "cut" },
        { "state.json", "gone" },
        { "state.json", "empty" },
        { "state.json", "stranger" },
    };

    [Theory]
    [MemberData(nameof(Damages))]
    public void A_damaged_newest_checkpoint_is_passed_over_with_a_message(string file, string damage)
    {
        Train(6);
        Damage(Path.Combine(_run.Checkpoints.Finished[0], file), damage);
        var observer = new RecordingObserver();
        using var trainer = new Trainer(_config, TrainingSamples.Text, _run, observer);
        Assert.True(trainer.Resume());
        Assert.Equal(4, trainer.Step);
        Assert.StartsWith("checkpoint step-00000006 skipped: ", observer.Messages[0].Text, StringComparison.Ordinal);
        Assert.Equal("resumed at step 4", observer.Messages[1].Text);

        // Nothing of the damaged one is left: the run ends as it would have.
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

        Damage(Path.Combine(_run.Checkpoints.Finished[0], "model.safetensors"), "cut");
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
    public void A_checkpoint_without_its_marker_does_not_count()
    {
        Train(6);
        File.Delete(Path.Combine(_run.Checkpoints.Finished[0], "DONE"));
        Assert.Equal(["step-00000004"], Names());
        using var trainer = Reopen();
        Assert.True(trainer.Resume());
        Assert.Equal(4, trainer.Step);
    }

    [Fact]
    public void What_a_crash_left_half_written_is_cleared_away()
    {
        Train(4);
        var partial = _run.Checkpoints.Finished[0] + ".partial-0123";
        Directory.CreateDirectory(partial);
        File.WriteAllText(Path.Combine(partial, "model.safetensors"), "half");
        using var trainer = Reopen();
        Assert.True(trainer.Resume());
        Assert.Equal(4, trainer.Step);
        Assert.False(Directory.Exists(partial));
    }

    [Fact]
    public void When_none_is_intact_the_user_is_told()
    {
        Train(4);
        foreach (var checkpoint in _run.Checkpoints.Finished)
        {
            Damage(Path.Combine(checkpoint, "state.json"), "cut");
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
        var state = new CheckpointState { Step = 2, Tokens = 128, ParameterSteps = new Dictionary<string, long>() };
        Assert.ThrowsAny<Exception>(() => _run.Checkpoints.Save(trainer.Model, optimizer, state, 2));
        Assert.Equal(path, Assert.Single(_run.Checkpoints.Finished));
        using var again = Reopen();
        Assert.True(again.Resume());
    }

    private static void Damage(string file, string damage)
    {
        switch (damage)
        {
            case "gone":
                File.Delete(file);
                break;
            case "empty":
                File.WriteAllText(file, "");
                break;
            case "stranger" when file.EndsWith(".json", StringComparison.Ordinal):
                File.WriteAllText(file, File.ReadAllText(file).Replace("\"token_embedding\"", "\"no_such_parameter\"", StringComparison.Ordinal));
                break;
            case "stranger":
                // The name of one moment, in the header of the file.
                File.WriteAllBytes(file, Replace(File.ReadAllBytes(file), "square.token_embedding"u8.ToArray(), "square.other_embedding"u8.ToArray()));
                break;
            default:
                File.WriteAllBytes(file, File.ReadAllBytes(file)[..^20]);
                break;
        }
    }

    private static byte[] Replace(byte[] content, byte[] old, byte[] changed)
    {
        var at = content.AsSpan().IndexOf(old);
        Assert.True(at > 0);
        changed.CopyTo(content, at);
        return content;
    }

    private Trainer Reopen() => new(_config, TrainingSamples.Text, _run);

    private IEnumerable<string?> Names() => _run.Checkpoints.Finished.Select(Path.GetFileName);

    private void Train(int steps)
    {
        using var trainer = Reopen();
        trainer.Train(until: steps);
    }
}
