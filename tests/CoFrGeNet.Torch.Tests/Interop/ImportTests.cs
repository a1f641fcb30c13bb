using System.Text.Json;
using CoFrGeNet.Configuration;
using CoFrGeNet.Interop;
using CoFrGeNet.Tests;
using CoFrGeNet.Weights;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Interop;

/// <summary>
/// Checkpoints of other programs against the logits that those programs compute: golden/interop.py wrote both. Logits are float64 there and
/// float32 here, of size 1 to 10, so they agree to 1e-4 and better.
/// </summary>
public sealed class ImportTests : IDisposable
{
    private const double Tolerance = 1e-4;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("gpt2", "gpt2")]
    [InlineData("gpt2/pytorch_model.bin", "gpt2")]
    [InlineData("llama", "llama")]
    [InlineData("public/final.safetensors", "public")]
    [InlineData("public/checkpoint.pt", "public")]
    [InlineData("llmc_f32.bin", "llmc_f32")]
    [InlineData("llmc_bf16.bin", "llmc_bf16")]
    public void Logits_are_those_of_the_program_that_wrote_the_checkpoint(string path, string expected)
    {
        using var input = ModelInput.Open(Golden(path), new InputOptions { Heads = path.EndsWith("final.safetensors", StringComparison.Ordinal) ? 2 : null });
        Assert.DoesNotContain(input.Keys, key => key.Outcome == KeyOutcome.Refused);
        var folder = _folder.File("model");
        ModelOutput.Write(input, folder, new OutputOptions(), ModelFolder.CheckShapes);
        AssertClose(Numbers(expected), Logits(folder), Tolerance);
    }

    [Theory]
    [InlineData("gpt2", "gpt2", "gpt2")]
    [InlineData("llama", "llama", "llama")]
    [InlineData("gpt2", "llmc_f32.bin", "gpt2")]
    public void What_came_in_goes_out_and_comes_in_bit_equal(string architecture, string path, string expected)
    {
        string first = _folder.File("first"), second = _folder.File("second"), third = _folder.File("third");
        Convert(Golden(path), first, new OutputOptions());
        var result = Convert(first, second, new OutputOptions { Format = OutputFormat.HuggingFace });
        Assert.Equal(architecture, result.Architecture);
        Convert(second, third, new OutputOptions { ShardBytes = 500 });
        Assert.Equal(ModelFolderConfig.Read(first).Model, ModelFolderConfig.Read(third).Model);
        AssertSame(WeightFiles.Open(first), WeightFiles.Open(third));
        Assert.True(File.Exists(Path.Combine(third, WeightFiles.SafeTensorsIndex)));
        if (Directory.Exists(Golden(path)))
        {
            using var original = WeightFiles.Open(Golden(path));
            using var written = WeightFiles.Open(second);
            foreach (var name in written.Names)
            {
                AssertSameTensor(original, written, name);
            }

            AssertClose(Numbers(expected), Logits(third), Tolerance);
        }
    }

    [Fact]
    public void Keys_are_mapped_or_ignored_with_their_reason()
    {
        using var input = ModelInput.Open(Golden("gpt2"));
        Assert.Equal("huggingface gpt2", input.Format);
        var keys = input.Keys.ToDictionary(key => key.Key);
        Assert.Equal(["blocks.1.mixer.qkv.weight"], keys["transformer.h.1.attn.c_attn.weight"].To);
        Assert.Equal((KeyOutcome.Ignored, "a buffer of the causal mask"), (keys["transformer.h.0.attn.bias"].Outcome, keys["transformer.h.0.attn.bias"].Reason));
        Assert.Equal(KeyOutcome.Ignored, keys["lm_head.weight"].Outcome);
        Assert.Contains("tied", keys["lm_head.weight"].Reason);

        using var checkpoint = ModelInput.Open(Golden("public/checkpoint.pt"));
        keys = checkpoint.Keys.ToDictionary(key => key.Key);
        Assert.Contains("optimizer", keys["optimizer.state.0.exp_avg"].Reason);
        Assert.Equal(
            Enumerable.Range(0, 5).Select(k => $"blocks.0.feed_forward.ladders.levels.{k}"),
            keys["model._orig_mod.blocks.0.ffn.ladder_weights.2"].To.Order());
    }

    [Fact]
    public void The_public_re_implementation_is_read_as_what_it_is()
    {
        using var input = ModelInput.Open(Golden("public/checkpoint.pt"));
        var feedForward = Assert.IsType<CffnConfig>(input.Model.Layers.First().FeedForward);
        Assert.Equal((GateKind.Sigmoid, false, LadderKind.Elementwise, 3, 5), (feedForward.Gate, feedForward.LinearOnGated, feedForward.Ladders.Kind, feedForward.Ladders.Count, feedForward.Ladders.Depth));
        Assert.Equal(new ClampGuard { Epsilon = 0.01 }, feedForward.Ladders.Guard);
        Assert.False(feedForward.Ladders.ClipToTrainedRange);
        Assert.Contains("--heads", Assert.Throws<UserErrorException>(() => ModelInput.Open(Golden("public/final.safetensors"))).Message);
    }

    [Fact]
    public void Rotary_frequencies_are_those_of_the_transformers_library()
    {
        using var input = ModelInput.Open(Golden("llama"));
        var attention = (AttentionConfig)input.Model.Layers.First().Mixer;
        var expected = Numbers("llamaFrequencies");
        var rotary = new Rotary(6, attention.Rotary!);
        // Same formula in float64, in another order of operations.
        Assert.Equal(expected.Length, rotary.Frequencies.Count);
        Assert.All(expected.Zip(rotary.Frequencies), pair => Assert.Equal(pair.First, pair.Second, 1e-14));
        // The cases of the scaling are all met: kept, blended, divided.
        Assert.Equal(expected[0], Math.Pow(300, 0), 1e-14);
        Assert.NotEqual(expected[1], Math.Pow(300, -1.0 / 3), 1e-3);
        Assert.Equal(expected[2], Math.Pow(300, -2.0 / 3) / 8, 1e-14);
    }

    [Fact]
    public void Stories_continue_as_the_trained_llama_does()
    {
        var source = SharedData.PathOrSkip("checkpoints/stories260K/hf");
        using var expected = JsonDocument.Parse(File.ReadAllText(Path.Combine(source, "expected_greedy.json")));
        var ids = expected.RootElement.GetProperty("token_ids").EnumerateArray().Select(id => id.GetInt32()).ToArray();
        var folder = _folder.File("stories");
        Convert(source, folder, new OutputOptions());
        using var model = ModelFolder.LoadModel(folder);
        using var session = new TorchLanguageModel(model).StartSession();
        var continued = new List<int> { ids[0] };
        var first = session.Append([ids[0]]).ToArray();
        AssertClose(expected.RootElement.GetProperty("logits_at_position_0").EnumerateArray().Select(number => number.GetDouble()).ToArray(), first, Tolerance);
        for (var logits = first; continued.Count < ids.Length; logits = session.Append([continued[^1]]).ToArray())
        {
            continued.Add(Array.IndexOf(logits, logits.Max()));
        }

        Assert.Equal(ids, continued);
    }

    [Fact]
    public void Stories_come_back_bit_equal_from_a_round_trip_and_from_llama2c()
    {
        var source = SharedData.PathOrSkip("checkpoints/stories260K");
        string ours = _folder.File("ours"), theirs = _folder.File("theirs"), other = _folder.File("other");
        Convert(Path.Combine(source, "hf"), ours, new OutputOptions());
        Convert(ours, theirs, new OutputOptions { Format = OutputFormat.HuggingFace });
        AssertSame(WeightFiles.Open(Path.Combine(source, "hf")), WeightFiles.Open(theirs));
        Convert(Path.Combine(source, "stories260K.bin"), other, new OutputOptions());
        AssertSame(WeightFiles.Open(ours), WeightFiles.Open(other));
    }

    [Fact]
    public void Tiny_gpt2_loads_with_its_tokenizer_files()
    {
        var source = SharedData.PathOrSkip("checkpoints/tiny_gpt2_random");
        var folder = _folder.File("tiny");
        var result = Convert(source, folder, new OutputOptions());
        Assert.Contains("merges.txt", result.Files);
        using var model = ModelFolder.LoadModel(folder);
        using var logits = model.forward(tensor(new long[] { 1, 2, 3 }, [1, 3]));
        Assert.Equal([1, 3, 21], logits.shape);
        Assert.True(logits.isfinite().all().item<bool>());
        using var config = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "generation_config.json")));
        Assert.Equal(20, config.RootElement.GetProperty("eos_token_id").GetInt32());
    }

    internal static void AssertClose(IReadOnlyList<double> expected, IReadOnlyList<float> actual, double tolerance)
    {
        Assert.Equal(expected.Count, actual.Count);
        var worst = expected.Zip(actual, (a, b) => Math.Abs(a - b)).Max();
        Assert.True(worst <= tolerance, $"off by {worst}");
    }

    private static string Golden(string name) => Path.Combine(AppContext.BaseDirectory, "Interop", "golden", name);

    private static JsonElement Expected() => JsonDocument.Parse(File.ReadAllText(Golden("expected.json"))).RootElement;

    private static double[] Numbers(string name) => [.. Expected().GetProperty(name).EnumerateArray().Select(number => number.GetDouble())];

    private static float[] Logits(string folder)
    {
        var rows = Expected().GetProperty("tokens").EnumerateArray().Select(row => row.EnumerateArray().Select(id => id.GetInt64()).ToArray()).ToArray();
        using var scope = NewDisposeScope();
        using var model = ModelFolder.LoadModel(folder);
        using var quiet = no_grad();
        return [.. model.forward(tensor([.. rows.SelectMany(row => row)], [rows.Length, rows[0].Length])).data<float>()];
    }

    private static OutputResult Convert(string path, string folder, OutputOptions options)
    {
        using var input = ModelInput.Open(path);
        return ModelOutput.Write(input, folder, options, ModelFolder.CheckShapes);
    }

    private static void AssertSame(TensorSource expected, TensorSource actual)
    {
        using (expected)
        using (actual)
        {
            Assert.Equal(expected.Names.Order(), actual.Names.Order());
            foreach (var name in expected.Names)
            {
                AssertSameTensor(expected, actual, name);
            }
        }
    }

    private static void AssertSameTensor(TensorSource expected, TensorSource actual, string name)
    {
        Assert.Equal((expected[name].DType, string.Join(',', expected[name].Shape)), (actual[name].DType, string.Join(',', actual[name].Shape)));
        byte[] a = new byte[expected[name].ByteLength], b = new byte[a.Length];
        expected.Read(name, a);
        actual.Read(name, b);
        Assert.Equal(a, b);
    }
}
