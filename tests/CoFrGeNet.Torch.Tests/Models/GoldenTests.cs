using System.Text.Json;
using CoFrGeNet.Configuration;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Models;

/// <summary>Whole models against an independent implementation (golden/reference.py, which says how to make the values again).</summary>
public class GoldenTests
{
    public static TheoryData<string> Names => GoldenModels.Names;

    [Theory]
    [MemberData(nameof(Names))]
    public void Logits_loss_and_gradients_are_those_of_the_reference(string name)
    {
        if (Environment.GetEnvironmentVariable("COFRGENET_GOLDEN_INPUT") is { Length: > 0 } folder)
        {
            Write(Path.Combine(folder, name), name);
            Assert.Skip("Wrote the input of golden/reference.py; run without COFRGENET_GOLDEN_INPUT to compare.");
        }

        var golden = GoldenModels.Golden(name);
        foreach (var device in TestDevices.Available)
        {
            using var scope = NewDisposeScope();
            using var model = GoldenModels.Create(name, device);
            var (tokens, targets) = GoldenModels.Batch();
            var logits = model.forward(tokens.to(device));

            // float32 here, float64 there: two layers of sums of a dozen products around 1, 1e-7 each.
            PlainMath.AssertClose([GoldenModels.Numbers(golden.GetProperty("logits"))], logits.reshape(1, -1), 1e-5);
            var loss = model.Loss(tokens.to(device), targets.to(device));
            Assert.Equal(golden.GetProperty("loss").GetDouble(), loss.item<float>(), 2e-6);
            loss.backward();
            var norms = golden.GetProperty("gradientNorms");
            Assert.Equal(norms.EnumerateObject().Count(), model.parameters().Count());
            foreach (var (parameter, value) in model.named_parameters())
            {
                // The same rounding, once more through the backward pass; norms lie between 0.0004 and 2.
                var expected = norms.GetProperty(parameter).GetDouble();
                Assert.True(Math.Abs(value.grad!.norm().item<float>() - expected) <= 1e-6 + (3e-5 * expected), $"{parameter}: {value.grad!.norm().item<float>()} instead of {expected}");
            }
        }
    }

    private static void Write(string folder, string name)
    {
        Directory.CreateDirectory(folder);
        using var scope = NewDisposeScope();
        using var model = GoldenModels.Create(name);
        ModelFolder.SaveWeights(Path.Combine(folder, ModelFolder.WeightsFile), model);
        File.WriteAllText(Path.Combine(folder, ModelFolder.ConfigFile), JsonSerializer.Serialize(model.Config, ConfigJsonContext.Default.ModelConfig));
        var (tokens, targets) = GoldenModels.Batch();
        File.WriteAllText(Path.Combine(folder, "tokens.json"), JsonSerializer.Serialize(new { tokens = Rows(tokens), targets = Rows(targets) }));
    }

    private static long[][] Rows(Tensor ids) => [.. ids.data<long>().ToArray().Chunk(GoldenModels.Context)];
}
