using CoFrGeNet.Configuration;
using CoFrGeNet.Tests;
using CoFrGeNet.Text;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Training.Tests;

/// <summary>
/// What shows after hundreds of steps. The explicit ones take minutes or need the process for themselves:
/// <c>CoFrGeNet.Training.Tests -class "*LongRunTests" -explicit only -showLiveOutput</c>.
/// </summary>
public class LongRunTests
{
    [Theory]
    [InlineData("f")]
    [InlineData("fu")]
    public void Products_in_bfloat16_end_near_the_loss_of_float32(string variant)
    {
        double Loss(ComputePrecision precision)
        {
            var observer = new RecordingObserver();
            var run = TrainingSamples.Run(variant, training => training with { Steps = 120, LearningRate = 3e-3, Precision = precision });
            using var trainer = new Trainer(run, TrainingSamples.Text, observer: observer);
            trainer.Train();
            return observer.Losses.TakeLast(20).Average();
        }

        double exact = Loss(ComputePrecision.Float32), rounded = Loss(ComputePrecision.BFloat16);
        Assert.True(exact < 3, $"{exact}");

        // What bfloat16 may cost at most.
        Assert.Equal(1, rounded / exact, 0.01);
    }

    [Theory(Explicit = true)]
    [InlineData("small-f")]
    [InlineData("small-fu")]
    public void On_real_text_bfloat16_ends_within_a_hundredth_of_float32(string preset)
    {
        var text = File.ReadAllText(SharedData.PathOrSkip("tinyshakespeare/input.txt"));
        var cut = text.Length * 9 / 10;
        var data = new TextData(TrainingSamples.Corpus(text[..cut]), TrainingSamples.Corpus(text[cut..]), ByteTokenizer.Instance, "tiny Shakespeare");
        double Loss(ComputePrecision precision)
        {
            var training = new TrainingConfig
            {
                Steps = 400,
                TokensPerStep = 2048,
                LearningRate = 1e-3,
                EvaluationTokens = 65536,
                EvaluateEvery = 400,
                CheckpointEvery = 400,
                Precision = precision,
            };
            var model = PresetLibrary.Get(preset).Model;
            using var trainer = new Trainer(new RunConfig { Model = model with { ContextLength = 128 }, Training = training }, data);
            trainer.Train();
            return trainer.LastEvaluation!.Loss;
        }

        double exact = Loss(ComputePrecision.Float32), rounded = Loss(ComputePrecision.BFloat16);
        TestContext.Current.TestOutputHelper!.WriteLine(FormattableString.Invariant($"{preset}: float32 {exact:F4}, bfloat16 {rounded:F4} nats a byte, ratio {rounded / exact:F4}"));
        Assert.Equal(1, rounded / exact, 0.01);
    }

    [Theory(Explicit = true)]
    [InlineData(ComputePrecision.Float32)]
    [InlineData(ComputePrecision.BFloat16)]
    public void Memory_stays_where_it_is_over_a_thousand_steps(ComputePrecision precision)
    {
        AllocatorTuning.Apply();
        var seen = new List<(int Step, long Bytes, long Tensors)>();
        var observer = new EveryHundredth(step => seen.Add((step, Environment.WorkingSet, Tensor.TotalCount)));
        var model = PresetLibrary.Get("small").Model.WithFeedForward(new CffnConfig { Ladders = new LadderConfig { Count = 170, Depth = 2 } }) with { ContextLength = 64 };
        var run = new RunConfig
        {
            Model = model with { Blocks = [model.Blocks[0] with { Repeat = 2 }] },
            Training = new TrainingConfig { Steps = 1500, TokensPerStep = 512, EvaluationTokens = 512, EvaluateEvery = 2000, CheckpointEvery = 2000, Precision = precision },
        };
        using var trainer = new Trainer(run, TrainingSamples.Text with { Validation = TrainingSamples.Text.Train }, observer: observer);
        trainer.Train();
        TestContext.Current.TestOutputHelper!.WriteLine(string.Join(", ", seen.Select(entry => $"{entry.Step}: {entry.Bytes >> 20} MiB, {entry.Tensors} tensors")));
        // A thousand steps, after the hundreds in which the runtime compiles its code a second time and its own heap settles.
        var after = seen.Where(entry => entry.Step >= 500).ToArray();
        Assert.All(after, entry => Assert.Equal(1, (double)entry.Bytes / after[0].Bytes, 0.02));
        Assert.Single(after.Select(entry => entry.Tensors).Distinct());
    }

    // Keeps nothing of a step, so that what is measured is the trainer's memory.
    private sealed class EveryHundredth(Action<int> look) : ITrainingObserver
    {
        public void OnStep(TrainingProgress progress)
        {
            if (progress.Step % 100 == 0)
            {
                look(progress.Step);
            }
        }

        public void OnEvaluation(int step, EvaluationResult result)
        {
        }

        public void OnMessage(int step, string message)
        {
        }
    }
}
