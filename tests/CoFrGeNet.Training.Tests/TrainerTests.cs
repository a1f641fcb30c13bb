using CoFrGeNet.Configuration;
using CoFrGeNet.Tests;
using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training.Tests;

public class TrainerTests
{
    public static TheoryData<string> Variants => ["", "f", "a", "u", "fa", "fu", "gate"];

    [Theory]
    [MemberData(nameof(Variants))]
    public void The_loss_of_a_repetitive_text_goes_down(string variant)
    {
        var observer = new RecordingObserver();
        using var trainer = new Trainer(TrainingSamples.Run(variant, training => training with { Steps = 40, LearningRate = 1e-2 }), TrainingSamples.Text, observer: observer);
        Assert.True(trainer.Train());
        Assert.Equal(40, trainer.Step);

        // ln 257 = 5.5 at first; a text of 28 letters in one order is learnt far below the 3.3 of drawing them blindly.
        Assert.InRange(observer.Steps[0].Loss, 5.3, 5.8);
        Assert.True(observer.Steps[^1].Loss < 3, $"{observer.Steps[^1].Loss}");
        Assert.Equal(0, trainer.SkippedSteps);
        Assert.Equal(40, Assert.Single(observer.Evaluations).Step);
        Assert.True(trainer.LastEvaluation!.Loss < 4, $"{trainer.LastEvaluation.Loss}");
    }

    [Theory]
    [InlineData(LadderKind.Projected)]
    [InlineData(LadderKind.Elementwise)]
    public void Fused_and_composed_ladders_train_alike(LadderKind kind)
    {
        double[] Train(LadderBackend backend)
        {
            LadderFunction.Backend = backend;
            try
            {
                var run = TrainingSamples.Run("f", training => training with { Steps = 200 });
                var block = run.Model.Blocks[0];
                var cffn = (CffnConfig)block.FeedForward;
                var observer = new RecordingObserver();
                run = run with { Model = run.Model with { Blocks = [block with { FeedForward = cffn with { Ladders = cffn.Ladders with { Kind = kind } } }] } };
                using var trainer = new Trainer(run, TrainingSamples.Text, observer: observer);
                trainer.Train();
                return [.. observer.Losses];
            }
            finally
            {
                LadderFunction.Backend = LadderBackend.Fused;
            }
        }

        double[] fused = Train(LadderBackend.Fused), composed = Train(LadderBackend.Composed);
        Assert.Equal(200, fused.Length);

        // The two round differently in the last bits; 1e-4 is what 200 steps may make of it.
        Assert.All(fused.Zip(composed), pair => Assert.Equal(1, pair.First / pair.Second, 1e-4));
    }

    [Theory]
    [InlineData(ComputePrecision.Float32)]
    [InlineData(ComputePrecision.BFloat16)]
    public void The_same_seed_gives_the_same_bits_and_another_seed_others(ComputePrecision precision)
    {
        (double[] Losses, Dictionary<string, byte[]> Weights) Train(int seed)
        {
            var observer = new RecordingObserver();
            using var trainer = new Trainer(TrainingSamples.Run("fa", training => training with { Seed = seed, Precision = precision }), TrainingSamples.Text, observer: observer);
            trainer.Train();
            return ([.. observer.Losses], TrainingSamples.Weights(trainer.Model));
        }

        var first = Train(3);
        var again = Train(3);
        Assert.Equal(first.Losses, again.Losses);
        TrainingSamples.AssertSameWeights(first.Weights, again.Weights);
        Assert.NotEqual(first.Losses, Train(4).Losses);
    }

    [Fact]
    public void Accumulated_parts_equal_one_big_batch()
    {
        (RecordingObserver Observer, Dictionary<string, double[]> Weights) Train(int microBatch)
        {
            var observer = new RecordingObserver();
            using var trainer = new Trainer(TrainingSamples.Run("f", training => training with { MicroBatch = microBatch, Steps = 3 }), TrainingSamples.Text, observer: observer);
            trainer.Train();
            return (observer, trainer.Model.named_parameters().ToDictionary(entry => entry.name, entry => TrainingSamples.Values(entry.parameter)));
        }

        var whole = Train(4);
        foreach (var size in new[] { 1, 2 })
        {
            var parts = Train(size);

            // A mean over 64 tokens in float32, taken in parts.
            Assert.All(whole.Observer.Losses.Zip(parts.Observer.Losses), pair => Assert.Equal(pair.First, pair.Second, 2e-5));
            Assert.All(whole.Observer.Steps.Zip(parts.Observer.Steps), pair => Assert.Equal(1, pair.First.Norms.Total / pair.Second.Norms.Total, 1e-3));

            // Three steps of 2e-3 or less at most; where a gradient is near 0 its rounding may turn a step round, on average it does not.
            foreach (var (name, values) in whole.Weights)
            {
                Assert.InRange(values.Zip(parts.Weights[name], (a, b) => Math.Abs(a - b)).Average(), 0, 1e-4);
            }
        }
    }

    [Fact]
    public void A_gradient_that_is_not_finite_skips_the_step_and_is_counted()
    {
        using var folder = new TemporaryFolder();
        // Ladders that are 0 where their weights are: what is poisoned stands in gradients and not in the loss.
        var config = TrainingSamples.Run("f", training => training with { Steps = 5, WarmupSteps = 0 });
        config = config with { Model = config.Model.WithFeedForward(new CffnConfig { Ladders = new LadderConfig { Count = 3, Depth = 2, Guard = new SmoothGuard() } }) };
        var run = TrainingSamples.Folder(folder, config);
        var observer = new RecordingObserver();
        using var trainer = new Trainer(config, TrainingSamples.Text, run, observer);
        trainer.Train(until: 2);
        var intact = TrainingSamples.Weights(trainer.Model);
        Poison(trainer.Model);
        var before = TrainingSamples.Weights(trainer.Model);
        trainer.Train(until: 3);
        Assert.Equal(3, trainer.Step);
        Assert.Equal(1, trainer.SkippedSteps);
        Assert.False(observer.Steps[2].Norms.IsFinite);
        Assert.Equal("a gradient is not finite", observer.Steps[2].Skipped);
        Assert.Contains(observer.Messages, message => message == (3, "step skipped: a gradient is not finite"));
        Assert.All(trainer.Model.named_parameters(), entry => Assert.Equal(before[entry.name], entry.parameter.bytes.ToArray()));
        Assert.All(trainer.Model.parameters(), parameter => Assert.All(TrainingSamples.Values(parameter.grad!), value => Assert.Equal(0, value)));

        // The checkpoint of a run with such a step can be written and says so.
        Assert.True(double.IsFinite(trainer.MaxGradientNorm));
        foreach (var (name, parameter) in trainer.Model.named_parameters())
        {
            parameter.bytes = intact[name];
        }

        Assert.True(trainer.Train());
        using var resumed = new Trainer(config, TrainingSamples.Text, run);
        Assert.True(resumed.Resume());
        Assert.Equal(1, resumed.SkippedSteps);
        Assert.Equal(trainer.MaxGradientNorm, resumed.MaxGradientNorm);
    }

    [Fact]
    public void A_loss_that_is_no_number_ends_the_run_and_leaves_the_last_checkpoint()
    {
        using var folder = new TemporaryFolder();
        var config = TrainingSamples.Run("f", training => training with { CheckpointEvery = 2 });
        var run = TrainingSamples.Folder(folder, config);
        Dictionary<string, byte[]>? saved = null;
        var observer = new RecordingObserver();
        using var trainer = new Trainer(config, TrainingSamples.Text, run, observer);
        observer.AfterStep = progress =>
        {
            using var quiet = no_grad();
            if (progress.Step == 4)
            {
                saved = TrainingSamples.Weights(trainer.Model);
            }
            else if (progress.Step == 5)
            {
                trainer.Model.named_parameters().First().parameter.fill_(float.NaN);
            }
        };
        var error = Assert.Throws<TrainingFailedException>(() => trainer.Train());
        Assert.Contains("loss is NaN at step 5", error.Message, StringComparison.Ordinal);
        Assert.EndsWith("step-00000004", run.Checkpoints.Finished[0], StringComparison.Ordinal);
        using var resumed = new Trainer(config, TrainingSamples.Text, run);
        Assert.True(resumed.Resume());
        Assert.Equal(4, resumed.Step);
        TrainingSamples.AssertSameWeights(saved!, TrainingSamples.Weights(resumed.Model));
    }

    [Fact]
    public void A_stop_is_heard_after_the_step_at_hand_and_saved()
    {
        using var folder = new TemporaryFolder();
        var config = TrainingSamples.Run();
        var run = TrainingSamples.Folder(folder, config);
        using var stop = new CancellationTokenSource();
        var observer = new RecordingObserver { AfterStep = progress => { if (progress.Step == 3) { stop.Cancel(); } } };
        using var trainer = new Trainer(config, TrainingSamples.Text, run, observer);
        Assert.False(trainer.Run(stop: stop.Token));
        Assert.Equal(3, trainer.Step);
        Assert.EndsWith("step-00000003", Assert.Single(run.Checkpoints.Finished), StringComparison.Ordinal);
        Assert.Empty(observer.Evaluations);
    }

    [Fact]
    public void Progress_tells_what_happened()
    {
        var observer = new RecordingObserver();
        using var trainer = new Trainer(TrainingSamples.Run("f", training => training with { LogEvery = 4, EvaluateEvery = 3 }), TrainingSamples.Text, observer: observer);
        trainer.Train();
        Assert.Equal(Enumerable.Range(1, 8), observer.Steps.Select(step => step.Step));
        Assert.Equal(Enumerable.Range(1, 8).Select(step => step * 64L), observer.Steps.Select(step => step.Tokens));
        Assert.Equal([3, 6, 8], observer.Evaluations.Select(evaluation => evaluation.Step));
        Assert.Equal([4, 8], observer.Steps.Where(step => step.Poles.Count > 0).Select(step => step.Step));
        Assert.Equal(["blocks.0.feed_forward.ladders", "blocks.1.feed_forward.ladders"], observer.Steps[3].Poles.Select(pole => pole.Layer));
        Assert.All(observer.Steps[3].Poles, pole =>
        {
            Assert.InRange(pole.MinDenominator, 0, 100);
            Assert.InRange(pole.MaxOutput, 1e-6, 100);
            // 16 ladders: the largest holds at least a sixteenth of the squares.
            Assert.InRange(pole.LargestGradient, pole.GradientNorm / 4, pole.GradientNorm);
        });
        var ladders = observer.Steps[3].Norms.ByComponent[Component.Ladders];
        Assert.Equal(ladders, Math.Sqrt(observer.Steps[3].Poles.Sum(pole => pole.GradientNorm * pole.GradientNorm)), 1e-5 * ladders);

        // Evaluations between logged steps are not counted with them.
        Assert.All(trainer.Model.modules().OfType<ILadderLayer>(), layer => Assert.Null(layer.Statistics));
        var norms = observer.Steps[0].Norms;
        Assert.Equal([Component.Embedding, Component.FeedForward, Component.Ladders, Component.Mixer, Component.Norm], norms.ByComponent.Keys.OrderBy(key => $"{key}"));
        Assert.Equal(norms.Total, Math.Sqrt(norms.ByComponent.Values.Sum(norm => norm * norm)), 1e-9);

        // Two steps of warm-up.
        Assert.Equal(observer.Steps.Skip(2).Max(step => step.Norms.Total), trainer.MaxGradientNorm);
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void Steps_leave_no_tensor_behind(string variant)
    {
        var counts = new List<long>();
        var observer = new RecordingObserver
        {
            AfterStep = _ =>
            {
                // Finalizers of what earlier tests left must not lower a later count.
                GC.Collect();
                GC.WaitForPendingFinalizers();
                counts.Add(Tensor.TotalCount);
            },
        };
        using var trainer = new Trainer(TrainingSamples.Run(variant, training => training with { EvaluateEvery = 2, MicroBatch = 2 }), TrainingSamples.Text, observer: observer);
        trainer.Train();

        // The first step makes the optimizer's state; an evaluation follows every second step.
        Assert.Equal(counts[2..6], counts[3..7]);
    }

    [Fact]
    public void What_does_not_fit_the_text_is_the_users_mistake()
    {
        var small = TrainingSamples.Run() with { Model = TrainingSamples.Model("f") with { VocabularySize = 100 } };
        Assert.Contains("vocabularySize is 100", Refused(small, TrainingSamples.Text), StringComparison.Ordinal);
        Assert.Contains("training text has 5 tokens", Refused(TrainingSamples.Run(), TrainingSamples.Data("four")), StringComparison.Ordinal);
    }

    // Ladders of zero weights are 0 with a slope of 1: the loss does not see how huge V is, the gradient does and overflows.
    private static void Poison(LanguageModel model)
    {
        using var quiet = no_grad();
        foreach (var (name, parameter) in model.named_parameters())
        {
            if (name.StartsWith("blocks.0.feed_forward.ladders", StringComparison.Ordinal))
            {
                parameter.zero_();
            }
            else if (name == "blocks.0.feed_forward.combine.weight")
            {
                parameter.fill_(3e38f);
            }
            else if (name == "final_norm.weight")
            {
                parameter.fill_(1e6f);
            }
        }
    }

    private static string Refused(RunConfig config, TextData text) => Assert.Throws<UserErrorException>(() => new Trainer(config, text)).Message;
}
