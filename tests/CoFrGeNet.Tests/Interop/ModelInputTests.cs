using System.Buffers.Binary;
using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;
using CoFrGeNet.Interop;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Tests.Interop;

/// <summary>What is refused, and that each refusal says by name what and why.</summary>
public sealed class ModelInputTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("activation_function", "\"relu\"", "activation_function is \"relu\", which is not supported; allowed is gelu_new or gelu_pytorch_tanh")]
    [InlineData("scale_attn_weights", "false", "scale_attn_weights is false")]
    [InlineData("scale_attn_by_inverse_layer_idx", "true", "scale_attn_by_inverse_layer_idx is true")]
    [InlineData("add_cross_attention", "true", "add_cross_attention is true")]
    [InlineData("n_layer", "\"two\"", "n_layer is \"two\", which is not supported; allowed is a whole number from 1")]
    [InlineData("n_layer", "0", "n_layer is 0")]
    [InlineData("n_layer", "1.5", "n_layer is 1.5")]
    [InlineData("n_head", "3", "mixer.heads is 3")]
    [InlineData("layer_norm_epsilon", "null", null)]
    [InlineData("n_layer", "2.0", null)]
    [InlineData("new_trick", "0.5", "has a member 'new_trick' = 0.5, which is not known here")]
    [InlineData("new_trick", "false", null)]
    [InlineData("new_trick", "[]", null)]
    [InlineData("resid_pdrop", "0.1", null)]
    [InlineData("model_type", "\"bloom\"", "model_type is 'bloom'; supported are cofrgenet, gpt2, llama")]
    public void A_gpt2_configuration_says_what_it_may(string member, string value, string? refusal) => AssertConfig(Gpt2(), member, value, refusal);

    [Theory]
    [InlineData("hidden_act", "\"gelu\"", "hidden_act is \"gelu\"")]
    [InlineData("mlp_bias", "true", "mlp_bias is true")]
    [InlineData("rope_scaling", """{"type":"linear","factor":2}""", "type is \"linear\", which is not supported; allowed is default or llama3")]
    [InlineData("rope_scaling", """{"rope_type":"yarn","factor":2}""", "rope_type is \"yarn\"")]
    [InlineData("rope_scaling", """{"rope_type":"llama3","factor":2}""", "rope_scaling has no member 'low_freq_factor'")]
    [InlineData("rope_scaling", """{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":64,"attention_factor":2}""", "'attention_factor'")]
    [InlineData("rope_scaling", """{"rope_type":"default"}""", null)]
    [InlineData("rope_scaling", "7", "rope_scaling is 7")]
    [InlineData("rope_parameters", """{"rope_type":"default","rope_theta":5000.0}""", null)]
    [InlineData("rope_parameters", """{"rope_type":"dynamic","rope_theta":5000.0}""", "rope_type is \"dynamic\"")]
    [InlineData("rope_parameters", """{"rope_type":"llama3","rope_theta":5000.0,"factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":64}""", null)]
    [InlineData("num_key_value_heads", "3", "mixer.keyValueHeads is 3")]
    [InlineData("sliding_window", "128", "'sliding_window'")]
    [InlineData("quantization_config", """{"bits":4}""", "'quantization_config'")]
    [InlineData("pretraining_tp", "2", null)]
    public void A_llama_configuration_says_what_it_may(string member, string value, string? refusal) => AssertConfig(Llama(), member, value, refusal);

    [Fact]
    public void Theta_and_scaling_come_from_where_they_stand()
    {
        var config = Llama();
        config["rope_parameters"] = JsonNode.Parse("""{"rope_type":"llama3","rope_theta":5000.0,"factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":64}""");
        var rotary = Assert.IsType<AttentionConfig>(Read(config).Layers.First().Mixer).Rotary!;
        Assert.Equal(new RotaryConfig { Theta = 5000, Scaling = new() { Factor = 8, LowFrequencyFactor = 1, HighFrequencyFactor = 4, OriginalContextLength = 64 } }, rotary);
        config = Llama();
        config["rope_theta"] = 500000;
        Assert.Equal(new RotaryConfig { Theta = 500000 }, Assert.IsType<AttentionConfig>(Read(config).Layers.First().Mixer).Rotary);
    }

    [Fact]
    public void A_tensor_without_a_place_is_refused_and_nothing_is_written()
    {
        WriteGpt2(entries => entries.Append(TensorEntry.FromSingles("transformer.h.0.adapter.weight", [2], new float[2])));
        using var input = ModelInput.Open(_folder.Root);
        Assert.Equal(KeyOutcome.Refused, input.Keys.Single(key => key.Key.EndsWith("adapter.weight", StringComparison.Ordinal)).Outcome);
        var error = Assert.Throws<UserErrorException>(() => ModelOutput.Write(input, _folder.File("out"), new OutputOptions()));
        Assert.Contains("'transformer.h.0.adapter.weight'", error.Message);
        Assert.False(Directory.Exists(_folder.File("out")));
    }

    [Fact]
    public void Tensors_that_do_not_fit_are_named()
    {
        WriteGpt2(entries => entries.Where(entry => entry.Name != "transformer.h.0.ln_2.bias"));
        AssertRefused("has no tensor 'transformer.h.0.ln_2.bias'");
        WriteGpt2(entries => entries.Select(entry => entry.Name == "transformer.ln_f.bias" ? TensorEntry.FromSingles(entry.Name, [5], new float[5]) : entry));
        AssertRefused("'transformer.ln_f.bias' has shape [5], the configuration needs [4]");
        WriteGpt2(entries => entries.Select(entry => entry.Name == "transformer.ln_f.bias" ? TensorEntry.FromBytes(entry.Name, TensorDType.I32, [4], new byte[16]) : entry));
        AssertRefused("'transformer.ln_f.bias' holds I32");
        WriteGpt2(entries => entries.Where(entry => !entry.Name.EndsWith("wte.weight", StringComparison.Ordinal)));
        AssertRefused("no tensor whose name ends in 'wte.weight'");
        WriteGpt2(entries => entries.Append(TensorEntry.FromSingles("ema.wte.weight", [5, 4], new float[20])));
        AssertRefused("holds 2 models, at ");
    }

    [Fact]
    public void A_tied_head_that_is_another_is_refused()
    {
        WriteGpt2(entries => entries.Append(TensorEntry.FromSingles("lm_head.weight", [5, 4], Values("transformer.wte.weight", 20))));
        using (var input = ModelInput.Open(_folder.Root))
        {
            Assert.Equal(KeyOutcome.Ignored, input.Keys.Single(key => key.Key == "lm_head.weight").Outcome);
        }

        WriteGpt2(entries => entries.Append(TensorEntry.FromSingles("lm_head.weight", [5, 4], Values("other", 20))));
        using var other = ModelInput.Open(_folder.Root);
        Assert.Equal(KeyOutcome.Refused, other.Keys.Single(key => key.Key == "lm_head.weight").Outcome);
    }

    [Theory]
    [InlineData("")]
    [InlineData("module.")]
    [InlineData("_orig_mod.")]
    public void Prefixes_before_every_name_are_taken_off(string prefix)
    {
        WriteGpt2(entries => entries.Select(entry => entry with { Name = prefix + entry.Name }));
        using var input = ModelInput.Open(_folder.Root);
        Assert.All(input.Keys, key => Assert.Equal(KeyOutcome.Mapped, key.Outcome));
        var values = new float[20];
        input.Tensors.ReadSingles("token_embedding", values);
        Assert.Equal(Values("transformer.wte.weight", 20), values);
    }

    [Fact]
    public void Parts_of_several_types_meet_in_float32()
    {
        var model = Read(Llama());
        var llama = new LlamaArchitecture();
        WeightFiles.Write(_folder.Root, llama.Rules(model).SelectMany(rule => rule.Parts).Select(part => part.Name.EndsWith("k_proj.weight", StringComparison.Ordinal)
            ? TensorEntry.FromBytes(part.Name, TensorDType.BF16, part.Shape, Enumerable.Repeat(new byte[] { 0x20, 0x40 }, 16).SelectMany(b => b).ToArray())
            : TensorEntry.FromSingles(part.Name, part.Shape, Values(part.Name, part.Shape))));
        using var input = ModelInput.Open(_folder.Root);
        Assert.Equal(TensorDType.F32, input.Tensors["blocks.0.mixer.qkv.weight"].DType);
        var values = new float[48];
        input.Tensors.ReadSingles("blocks.0.mixer.qkv.weight", values);
        Assert.Equal(Values("model.layers.0.self_attn.q_proj.weight", 16), values[..16]);
        Assert.All(values[16..32], value => Assert.Equal(2.5f, value));
    }

    [Fact]
    public void Other_files_are_told_apart_by_their_content()
    {
        Assert.Contains("none of the files", Assert.Throws<UserErrorException>(() => ModelInput.Open(_folder.Write("text.bin", new string('x', 200)))).Message);
        Assert.Contains("There is no", Assert.Throws<UserErrorException>(() => ModelInput.Open(_folder.File("absent"))).Message);
        Assert.Contains("version 1; versions 3", Assert.Throws<WeightsFormatException>(() => ModelInput.Open(_folder.Write("old.bin", Header(20240326, 1)))).Message);
        Assert.Contains("promises", Assert.Throws<WeightsFormatException>(() => ModelInput.Open(_folder.Write("cut.bin", Header(20240326, 3, 16, 13, 2, 2, 8, 16)))).Message);
        Assert.Contains("sizes that no model has", Assert.Throws<WeightsFormatException>(() => ModelInput.Open(_folder.Write("wild.bin", Header(20240326, 3, 16, 13, int.MaxValue, 2, 8, 16)))).Message);
        Assert.Contains("legacy format", Assert.Throws<WeightsFormatException>(() => ModelInput.Open(_folder.Write("new.bin", Header(0x616b3432, 1)))).Message);
        Assert.Contains("needs a config.json beside it", Assert.Throws<UserErrorException>(() => ModelInput.Open(Alone())).Message);
    }

    [Fact]
    public void Damaged_flat_files_are_refused_with_an_error_of_their_own()
    {
        var header = Header(20240326, 3, 16, 13, 2, 2, 8, 16);
        for (var seed = 0; seed < 100; seed++)
        {
            var random = new Random(seed);
            var bytes = (byte[])header.Clone();
            for (var i = random.Next(1, 6); i > 0; i--)
            {
                bytes[random.Next(4, 32)] = (byte)random.Next(256);
            }

            var path = _folder.Write("fuzz.bin", bytes[..random.Next(bytes.Length + 1)]);
            var error = Record.Exception(() => ModelInput.Open(path).Dispose());
            Assert.True(error is WeightsFormatException or UserErrorException, $"seed {seed}: {error}");
        }
    }

    private static byte[] Header(params int[] numbers)
    {
        var bytes = new byte[1024];
        for (var i = 0; i < numbers.Length; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4 * i), numbers[i]);
        }

        return bytes;
    }

    private static JsonObject Gpt2() => new()
    {
        ["model_type"] = "gpt2",
        ["vocab_size"] = 5,
        ["n_positions"] = 6,
        ["n_embd"] = 4,
        ["n_layer"] = 1,
        ["n_head"] = 2,
    };

    private static JsonObject Llama() => new()
    {
        ["model_type"] = "llama",
        ["vocab_size"] = 5,
        ["max_position_embeddings"] = 6,
        ["hidden_size"] = 4,
        ["intermediate_size"] = 6,
        ["num_hidden_layers"] = 1,
        ["num_attention_heads"] = 2,
        ["rms_norm_eps"] = 1e-5,
    };

    private static float[] Values(string name, params long[] shape) => [.. Enumerable.Range(0, (int)shape.Aggregate(1L, (a, b) => a * b)).Select(i => name.Length + (i / 8f))];

    private string Alone()
    {
        var path = _folder.File("alone/x.safetensors");
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        SafeTensorsWriter.Write(path, [TensorEntry.FromSingles("a", [1], new float[1])]);
        return path;
    }

    private ModelConfig Read(JsonObject config)
    {
        var foreign = ForeignConfig.Read(_folder.Write("config.json", config.ToJsonString()));
        return ForeignArchitecture.All.Single(architecture => architecture.ModelType == foreign.Text("model_type")).Read(foreign);
    }

    private void AssertConfig(JsonObject config, string member, string value, string? refusal)
    {
        config[member] = JsonNode.Parse(value);
        if (refusal is null)
        {
            Read(config);
            return;
        }

        WeightFiles.Write(_folder.Root, [TensorEntry.FromSingles("a", [1], new float[1])]);
        _folder.Write("config.json", config.ToJsonString());
        AssertRefused(refusal);
    }

    private void AssertRefused(string reason)
    {
        var error = Assert.Throws<UserErrorException>(() => ModelInput.Open(_folder.Root).Dispose());
        Assert.Contains(reason, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    private void WriteGpt2(Func<IEnumerable<TensorEntry>, IEnumerable<TensorEntry>> change)
    {
        var model = Read(Gpt2());
        var parts = new Gpt2Architecture().Rules(model).SelectMany(rule => rule.Parts);
        WeightFiles.Write(_folder.Root, change(parts.Select(part => TensorEntry.FromSingles(part.Name, part.Shape, Values(part.Name, part.Shape)))));
    }
}
