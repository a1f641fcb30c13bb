using CoFrGeNet.Tests;
using CoFrGeNet.Text;
using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training.Tests.FineTuning;

public class CausalFineTuningTests
{
    [Fact]
    public void A_run_starts_from_the_folders_weights_and_is_resumed_with_them()
    {
        using var folder = new TemporaryFolder();
        var weights = Save(folder);
        var config = TrainingSamples.Run("f");
        using (var run = CausalFineTuning.Start(folder.File("model"), folder.File("run"), config, TrainingSamples.Text, force: false))
        {
            TrainingSamples.AssertSameWeights(weights, TrainingSamples.Weights(run.Trainer.Model));
        }

        // As after a kill before the first checkpoint.
        using (var resumed = TrainingRun.Resume(folder.File("run"), TrainingSamples.Text))
        {
            TrainingSamples.AssertSameWeights(weights, TrainingSamples.Weights(resumed.Trainer.Model));
            Assert.True(resumed.Run(TestContext.Current.CancellationToken));
        }

        using var whole = CausalFineTuning.Start(folder.File("model"), folder.File("whole"), config, TrainingSamples.Text, force: false);
        Assert.True(whole.Run(TestContext.Current.CancellationToken));
        Assert.Equal(File.ReadAllBytes(folder.File("run/final/model.safetensors")), File.ReadAllBytes(folder.File("whole/final/model.safetensors")));
    }

    [Fact]
    public void Additions_lower_the_loss_and_leave_embeddings_alone()
    {
        using var folder = new TemporaryFolder();
        var weights = Save(folder);
        var (model, _) = ModelFolder.Load(folder.File("model"));
        using (model)
        {
            var config = new FineTuningConfig { Epochs = 3, BatchSize = 4, LearningRate = 2e-2, Lora = new LoraConfig(4, 8) };
            var results = CausalFineTuning.RunLora(model, TrainingSamples.Text, config, 1, stop: TestContext.Current.CancellationToken);
            Assert.Equal(4, results.Count);
            Assert.True(results[^1].Loss < results[0].Loss - 0.05, $"{results[0].Loss} {results[^1].Loss}");
            var after = TrainingSamples.Weights(model);
            Assert.Equal(weights.Keys.Order(), after.Keys.Order());
            Assert.True(weights["token_embedding"].AsSpan().SequenceEqual(after["token_embedding"]));
            Assert.False(weights["blocks.0.mixer.qkv.weight"].AsSpan().SequenceEqual(after["blocks.0.mixer.qkv.weight"]));
        }
    }

    private static Dictionary<string, byte[]> Save(TemporaryFolder folder)
    {
        manual_seed(77);
        using var model = new LanguageModel(TrainingSamples.Model("f"));
        Directory.CreateDirectory(folder.File("model"));
        ModelFolder.Save(folder.File("model"), model, ByteTokenizer.Instance);
        return TrainingSamples.Weights(model);
    }
}
