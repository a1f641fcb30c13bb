using CoFrGeNet.Tests;

namespace CoFrGeNet.Training.Tests.Checkpoints;

public class ResumeTests
{
    [Theory]
    [InlineData("f", ComputePrecision.Float32, 3)]
    [InlineData("f", ComputePrecision.BFloat16, 5)]
    [InlineData("fu", ComputePrecision.Float32, 6)]
    [InlineData("fa", ComputePrecision.Float32, 4)]
    [InlineData("", ComputePrecision.BFloat16, 1)]
    public void A_stopped_run_ends_with_the_bits_of_one_that_was_not(string variant, ComputePrecision precision, int stop)
    {
        using var folder = new TemporaryFolder();
        var config = TrainingSamples.Run(variant, training => training with { Precision = precision, LadderSchedule = LadderSchedule.Dyadic });
        var whole = new RecordingObserver();
        using var straight = new Trainer(config, TrainingSamples.Text, observer: whole);
        straight.Train();

        var run = TrainingSamples.Folder(folder, config);
        var before = new RecordingObserver();
        using (var first = new Trainer(config, TrainingSamples.Text, run, before))
        {
            Assert.False(first.Train(until: stop));
        }

        var after = new RecordingObserver();
        var (opened, stored) = RunFolder.Open(run.FullPath);
        Assert.Equal(config, stored);
        using var second = new Trainer(stored, TrainingSamples.Text, opened, after);
        Assert.True(second.Resume());
        Assert.Equal(stop, second.Step);
        Assert.True(second.Train());
        Assert.Equal(whole.Losses, before.Losses.Concat(after.Losses));
        Assert.Equal(straight.LastEvaluation!.Loss, second.LastEvaluation!.Loss);
        Assert.Equal(straight.MaxGradientNorm, second.MaxGradientNorm);
        TrainingSamples.AssertSameWeights(TrainingSamples.Weights(straight.Model), TrainingSamples.Weights(second.Model));

        // Levels that were trained before the stop are not announced again.
        var told = before.Messages.Concat(after.Messages).Where(message => message.Text.StartsWith("ladder level", StringComparison.Ordinal));
        Assert.Equal(whole.Messages, told);
    }

    [Fact]
    public void Without_a_checkpoint_there_is_nothing_to_resume()
    {
        using var folder = new TemporaryFolder();
        var config = TrainingSamples.Run();
        using var trainer = new Trainer(config, TrainingSamples.Text, TrainingSamples.Folder(folder, config));
        Assert.False(trainer.Resume());
        Assert.Equal(0, trainer.Step);
    }

    [Fact]
    public void A_finished_run_is_resumed_at_its_end()
    {
        using var folder = new TemporaryFolder();
        var config = TrainingSamples.Run();
        var run = TrainingSamples.Folder(folder, config);
        using (var first = new Trainer(config, TrainingSamples.Text, run))
        {
            first.Train();
        }

        var observer = new RecordingObserver();
        using var second = new Trainer(config, TrainingSamples.Text, run, observer);
        Assert.True(second.Resume());
        Assert.True(second.Train());
        Assert.Empty(observer.Steps);
    }
}
