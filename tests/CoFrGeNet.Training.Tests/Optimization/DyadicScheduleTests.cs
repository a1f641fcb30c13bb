using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training.Tests.Optimization;

public class DyadicScheduleTests
{
    // ceil(t (1 - 2^-i)).
    [Theory]
    [InlineData(1000, 500, 750, 875, 938, 969)]
    [InlineData(32, 16, 24, 28, 30, 31)]
    [InlineData(7, 4, 6, 7, 7, 7)]
    public void Levels_start_when_the_paper_says(int steps, int first, int second, int third, int fourth, int fifth) =>
        Assert.Equal([first, second, third, fourth, fifth], Enumerable.Range(1, 5).Select(level => DyadicSchedule.FirstStep(steps, level)));

    [Theory]
    [InlineData("f", 3)]
    [InlineData("a", 3)]
    [InlineData("u", 1)]
    [InlineData("fu", 3)]
    [InlineData("", 0)]
    public void The_depth_is_that_of_the_deepest_ladder(string variant, int depth)
    {
        using var model = new LanguageModel(TrainingSamples.Model(variant));
        var schedule = new DyadicSchedule(model, 16);
        Assert.Equal(depth, schedule.Depth);
        Assert.Equal(Math.Min(depth, 2), schedule.ActiveLevels(12));
        Assert.Empty(schedule.Apply(0));
    }

    [Theory]
    [InlineData("f")]
    [InlineData("fa")]
    [InlineData("fu")]
    public void A_frozen_level_has_no_gradient_no_update_no_decay_and_no_state(string variant)
    {
        using var scope = NewDisposeScope();
        using var run = new ByHand(variant, steps: 8);
        var start = TrainingSamples.Weights(run.Model);
        for (var step = 0; step < 8; step++)
        {
            var before = TrainingSamples.Weights(run.Model);
            Assert.Equal(step switch { 4 => [1], 6 => [2], 7 => [3], _ => (int[])[] }, run.Schedule.Apply(step).Where(level => level <= run.Schedule.Depth));
            run.Backward();
            var frozen = run.Levels.Where(entry => step < DyadicSchedule.FirstStep(8, entry.Level)).ToArray();
            Assert.All(frozen, entry => Assert.True(entry.Parameter.grad is null, entry.Name));
            Assert.All(run.Levels.Except(frozen), entry => Assert.True(entry.Parameter.grad!.abs().sum().item<float>() > 0, entry.Name));
            run.Optimizer.Step(0.01);
            run.Optimizer.ClearGradients();
            var after = TrainingSamples.Weights(run.Model);
            Assert.All(frozen, entry => Assert.Equal(start[entry.Name], after[entry.Name]));
            Assert.All(run.Levels.Except(frozen), entry => Assert.NotEqual(before[entry.Name], after[entry.Name]));
            Assert.NotEqual(before["token_embedding"], after["token_embedding"]);
            Assert.Empty(run.Optimizer.State.Select(entry => entry.Name).Intersect(frozen.Select(entry => entry.Name)));
        }
    }

    [Theory]
    [InlineData("f")]
    [InlineData("fa")]
    [InlineData("fu")]
    public void Truncated_ladders_have_the_levels_that_are_trained_and_all_at_the_end(string variant)
    {
        var config = TrainingSamples.Run(variant, training => training with { LadderSchedule = LadderSchedule.DyadicTruncated });
        var layers = new List<int?[]>();
        Trainer? trainer = null;
        var observer = new RecordingObserver { AfterStep = _ => layers.Add([.. trainer!.Model.modules().OfType<ILadderLayer>().Where(layer => layer.LevelParameters.Count == 3).Select(layer => layer.ActiveLevels)]) };
        using (trainer = new Trainer(config, TrainingSamples.Text, observer: observer))
        {
            Assert.True(trainer.Train());
        }

        // t = 8: levels start at steps 4, 6 and 7.
        int?[] expected = [0, 0, 0, 0, 1, 1, 2, null];
        Assert.All(layers.Zip(expected), step => Assert.All(step.First, active => Assert.Equal(step.Second, active)));
        Assert.All(observer.Losses, loss => Assert.InRange(loss, 0, 10));

        // Fewer steps than levels would leave one cut off for good.
        var error = Assert.Throws<UserErrorException>(() => (config with { Training = config.Training with { Steps = 7, WarmupSteps = 1 } }).Validate());
        Assert.Contains("training.ladderSchedule is dyadicTruncated with 7 steps; allowed is dyadicTruncated with enough steps for all 3 levels, 8 or more", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_first_step_after_unfreezing_is_that_of_a_fresh_parameter()
    {
        using var scope = NewDisposeScope();
        using var run = new ByHand("f", steps: 4);
        run.Schedule.Apply(0);
        run.Backward();
        run.Optimizer.Step(0.01);
        run.Optimizer.ClearGradients();
        run.Schedule.Apply(2);
        run.Backward();
        var level = run.Levels.First(entry => entry.Level == 1);
        double[] weights = TrainingSamples.Values(level.Parameter), gradient = TrainingSamples.Values(level.Parameter.grad!);
        run.Optimizer.Step(0.01);
        var state = run.Optimizer.State.Single(entry => entry.Name == level.Name);
        Assert.Equal(1, state.Steps);
        Assert.Equal(2, run.Optimizer.State.Single(entry => entry.Name == "token_embedding").Steps);
        var moved = TrainingSamples.Values(level.Parameter);
        for (var i = 0; i < moved.Length; i++)
        {
            // With both moments fresh and corrected the step is rate x g / (|g| + eps), and the decay takes 0.1 of the rate. float32.
            var expected = (weights[i] * (1 - (0.01 * 0.1))) - (0.01 * gradient[i] / (Math.Abs(gradient[i]) + 1e-8));
            Assert.Equal(expected, moved[i], 1e-7);
        }
    }

    [Fact]
    public void A_trainer_tells_when_a_level_is_trained()
    {
        var observer = new RecordingObserver();
        using var trainer = new Trainer(
            TrainingSamples.Run("f", training => training with { LadderSchedule = LadderSchedule.Dyadic }), TrainingSamples.Text, observer: observer);
        trainer.Train();
        Assert.Equal(
            [
                (5, "ladder level 1 of 3 is trained from here on"),
                (7, "ladder level 2 of 3 is trained from here on"),
                (8, "ladder level 3 of 3 is trained from here on"),
            ],
            observer.Messages);
        Assert.Equal([0, 0, 0, 0, 1, 1, 2, 3], observer.Steps.Select(step => step.ActiveLevels!.Value));
    }

    [Fact]
    public void Without_the_schedule_every_level_is_trained_from_the_start()
    {
        var observer = new RecordingObserver();
        using var trainer = new Trainer(TrainingSamples.Run("f"), TrainingSamples.Text, observer: observer);
        var before = TrainingSamples.Weights(trainer.Model);
        trainer.Train(until: 1);
        var after = TrainingSamples.Weights(trainer.Model);
        Assert.NotEqual(before["blocks.0.feed_forward.ladders.levels.2"], after["blocks.0.feed_forward.ladders.levels.2"]);
        Assert.Null(observer.Steps[0].ActiveLevels);
    }

    private sealed class ByHand : IDisposable
    {
        private readonly Tensor _tokens = CoFrGeNet.Torch.Tests.FormulaWeights.Tokens(257, 1, 2, TrainingSamples.Context);
        private readonly Tensor _targets = CoFrGeNet.Torch.Tests.FormulaWeights.Tokens(257, 6, 2, TrainingSamples.Context);

        public ByHand(string variant, int steps)
        {
            Model = new LanguageModel(TrainingSamples.Model(variant));
            CoFrGeNet.Torch.Tests.FormulaWeights.Fill(Model);
            Schedule = new DyadicSchedule(Model, steps);
            Optimizer = new AdamW(ComponentGroup.Of(Model), new TrainingConfig());
            var names = Model.named_parameters().ToDictionary(entry => entry.parameter.Handle, entry => entry.name);
            Levels =
            [
                .. Model.modules().OfType<ILadderLayer>().SelectMany(layer =>
                    layer.LevelParameters.SelectMany((level, k) => level.Select(parameter => (names[parameter.Handle], k + 1, parameter)))),
            ];
        }

        public LanguageModel Model { get; }

        public DyadicSchedule Schedule { get; }

        public AdamW Optimizer { get; }

        public IReadOnlyList<(string Name, int Level, Parameter Parameter)> Levels { get; }

        public void Backward() => Model.Loss(_tokens, _targets).backward();

        public void Dispose()
        {
            Optimizer.Dispose();
            Model.Dispose();
        }
    }
}
