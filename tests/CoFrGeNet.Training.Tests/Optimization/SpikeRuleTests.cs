using CoFrGeNet.Tests;
using static TorchSharp.torch;

namespace CoFrGeNet.Training.Tests.Optimization;

public class SpikeRuleTests
{
    // Losses 1 and 3 in turn: mean 2, standard deviation 1. Norms 1 .. 10: median 6, the upper one of an even number.
    private static readonly SpikeConfig Config = new() { LossSigmas = 4, GradientFactor = 5, Window = 10, MostInARow = 2 };

    [Theory]
    [InlineData(5.9, 29.9, null)]
    [InlineData(6.1, 1, "the loss 6.1 is more than 4 standard deviations of 1 above the mean 2 of 10 steps")]
    [InlineData(1, 30.1, "the gradient norm 30.1 is more than 5 times the median 6 of 10 steps")]
    public void A_step_that_stands_out_is_a_spike(double loss, double norm, string? expected) => Assert.Equal(expected, Filled().Judge(loss, norm));

    [Fact]
    public void Before_the_window_is_full_nothing_is_a_spike()
    {
        var rule = new SpikeRule(Config);
        Assert.All(Enumerable.Range(1, 10), i => Assert.Null(rule.Judge(Math.Pow(10, i), 1)));
    }

    [Fact]
    public void Spikes_do_not_move_the_window_and_too_many_in_a_row_end_the_run()
    {
        var rule = Filled();
        Assert.NotNull(rule.Judge(100, 1));
        Assert.NotNull(rule.Judge(100, 1));
        Assert.Equal(10, rule.State!.Losses.Count);
        Assert.Equal(2, rule.State.InARow);
        Assert.Contains("3 steps in a row were spikes", Assert.Throws<TrainingFailedException>(() => rule.Judge(100, 1)).Message, StringComparison.Ordinal);

        var calm = Filled();
        for (var i = 0; i < 5; i++)
        {
            Assert.NotNull(calm.Judge(100, 1));
            Assert.Null(calm.Judge(2, 5));
        }
    }

    [Fact]
    public void What_is_restored_judges_as_before()
    {
        var rule = Filled();
        rule.Judge(100, 1);
        var other = new SpikeRule(Config);
        other.Restore(rule.State);
        Assert.Equal(rule.State!.Losses, other.State!.Losses);
        Assert.Equal(rule.State.GradientNorms, other.State.GradientNorms);
        Assert.Equal(rule.State.InARow, other.State.InARow);
        Assert.Null(new SpikeRule(new SpikeConfig()).State);
    }

    [Fact]
    public void A_run_skips_a_spike_logs_it_and_resumes_to_the_same_bits()
    {
        using var folder = new TemporaryFolder();

        // Texts of one letter, with a window of another kind here and there: its loss stands out.
        var text = TrainingSamples.Data(string.Concat(Enumerable.Repeat(new string('a', 16 * 15) + "zyxwvutsrqponmlk", 12)));
        var config = TrainingSamples.Run("f", training => training with
        {
            Steps = 60,
            TokensPerStep = TrainingSamples.Context,
            LearningRate = 1e-2,
            CheckpointEvery = 1000,
            Spikes = new SpikeConfig { LossSigmas = 3, Window = 20, MostInARow = 4 },
        });
        var whole = new RecordingObserver();
        using var straight = new Trainer(config, text, observer: whole);
        straight.Train();
        var spikes = whole.Steps.Where(step => step.Skipped is not null).ToArray();
        Assert.NotEmpty(spikes);
        Assert.Equal(spikes.Length, straight.SkippedSteps);
        Assert.All(spikes, step => Assert.Contains((step.Step, $"step skipped: {step.Skipped}"), whole.Messages));

        // Stops right before and right after a spike, and with the window half full.
        var run = TrainingSamples.Folder(folder, config);
        var parts = new RecordingObserver();
        foreach (var until in new[] { 7, spikes[0].Step - 1, spikes[0].Step, 60 })
        {
            using var trainer = new Trainer(config, text, run, parts);
            trainer.Resume();
            trainer.Train(until);
            if (until == 60)
            {
                Assert.Equal(straight.SkippedSteps, trainer.SkippedSteps);
                TrainingSamples.AssertSameWeights(TrainingSamples.Weights(straight.Model), TrainingSamples.Weights(trainer.Model));
            }
        }

        Assert.Equal(whole.Losses, parts.Losses);
        Assert.Equal(whole.Steps.Select(step => step.Skipped), parts.Steps.Select(step => step.Skipped));
    }

    [Fact]
    public void A_skipped_step_leaves_the_weights_and_the_optimizer_alone()
    {
        var config = TrainingSamples.Run("f", training => training with { Steps = 30, Spikes = new SpikeConfig { LossSigmas = 5, Window = 10 } });
        Dictionary<string, byte[]>? poisoned = null;
        var observer = new RecordingObserver();
        using var trainer = new Trainer(config, TrainingSamples.Text, observer: observer);
        observer.AfterStep = progress =>
        {
            using var quiet = no_grad();
            if (progress.Step == 20)
            {
                trainer.Model.named_parameters().First(entry => entry.name == "final_norm.weight").parameter.mul_(100);
                poisoned = TrainingSamples.Weights(trainer.Model);
            }
            else if (progress.Step == 21)
            {
                Assert.NotNull(progress.Skipped);
                var now = TrainingSamples.Weights(trainer.Model);
                Assert.All(trainer.Model.named_parameters(), entry => Assert.Equal(poisoned![entry.name], now[entry.name]));
            }
        };
        var error = Assert.Throws<TrainingFailedException>(() => trainer.Train());
        Assert.Contains("6 steps in a row were spikes", error.Message, StringComparison.Ordinal);
        Assert.Equal(25, trainer.Step);
    }

    private static SpikeRule Filled()
    {
        var rule = new SpikeRule(Config);
        for (var i = 0; i < 10; i++)
        {
            Assert.Null(rule.Judge(i % 2 == 0 ? 1 : 3, i + 1));
        }

        return rule;
    }
}
