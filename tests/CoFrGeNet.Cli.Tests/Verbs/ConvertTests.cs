using System.Text.Json;
using CoFrGeNet.Tests;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Cli.Tests.Verbs;

public sealed class ConvertTests : IDisposable
{
    private readonly TinyRuns _runs = new();

    public void Dispose() => _runs.Dispose();

    [Fact]
    public void A_trained_model_goes_out_and_comes_back_and_generates_the_same()
    {
        ToolRun.Of(_runs.Train("tiny-fu", "run")).Succeeded();
        var final = _runs.File("run/final");
        var document = ToolRun.Of("convert", "--model", final, "--to", "huggingface", "--out", _runs.File("hub"), "--shard-size", "2KB", "--json").Succeeded().Json;
        Assert.Equal(("cofrgenet", "cofrgenet", true), (document.GetProperty("from").GetString(), document.GetProperty("architecture").GetString(), document.GetProperty("verified").GetBoolean()));
        var files = document.GetProperty("files").EnumerateArray().Select(file => file.GetString()!).ToArray();
        Assert.Superset(
            new HashSet<string> { "README.md", "config.json", "configuration_cofrgenet.py", "modeling_cofrgenet.py", "generation_config.json", "tokenizer.json", "tokenizer_config.json", WeightFiles.SafeTensorsIndex },
            files.ToHashSet());
        Assert.Equal(files, Directory.GetFiles(_runs.File("hub")).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal));
        Assert.All(document.GetProperty("keys").EnumerateArray(), key => Assert.Equal("mapped", key.GetProperty("outcome").GetString()));
        using var config = JsonDocument.Parse(File.ReadAllText(_runs.File("hub/config.json")));
        Assert.Equal("modeling_cofrgenet.CoFrGeNetForCausalLM", config.RootElement.GetProperty("auto_map").GetProperty("AutoModelForCausalLM").GetString());
        Assert.Contains("trust_remote_code=True", File.ReadAllText(_runs.File("hub/README.md")));

        // The folder for the hub is a model folder too, and so is what comes back from it.
        ToolRun.Of("convert", "--model", _runs.File("hub"), "--out", _runs.File("back")).Succeeded();
        Assert.Equal(Continue(final), Continue(_runs.File("hub")));
        Assert.Equal(Continue(final), Continue(_runs.File("back")));
        var info = ToolRun.Of("info", "--model", _runs.File("back"), "--json").Succeeded().Json;
        Assert.Equal(document.GetProperty("parameters").GetInt64(), info.GetProperty("parameters").GetProperty("total").GetInt64());
    }

    [Theory]
    [InlineData("hf")]
    [InlineData("stories260K.bin")]
    public void A_llama_with_its_tokenizer_file_writes_the_expected_text(string model)
    {
        var stories = SharedData.PathOrSkip("checkpoints/stories260K");
        var tokenizer = Path.Combine(stories, "tok512.bin");
        ToolRun.Of("convert", "--model", Path.Combine(stories, model), "--tokenizer", tokenizer, "--out", _runs.File("stories")).Succeeded();
        // The file lies in the folder, and the folder says nothing about where it came from.
        Assert.Equal(File.ReadAllBytes(tokenizer), File.ReadAllBytes(_runs.File("stories/tokenizer.bin")));
        Assert.Contains("\"tokenizer\": \"folder\"", File.ReadAllText(_runs.File("stories/config.json")));
        using var expected = JsonDocument.Parse(File.ReadAllText(Path.Combine(stories, "hf", "expected_greedy.json")));
        var text = expected.RootElement.GetProperty("text").GetString()!;
        var result = ToolRun.Of("generate", "--model", _runs.File("stories"), "--prompt", "Once upon a time", "--temperature", "0", "--max-tokens", "60", "--threads", "1", "--json").Succeeded().Json;
        var written = result.GetProperty("prompt").GetString() + result.GetProperty("text").GetString();
        Assert.Equal(text[..written.Length], written);

        // Out and in again with it.
        ToolRun.Of("convert", "--model", _runs.File("stories"), "--to", "huggingface", "--out", _runs.File("hub")).Succeeded();
        ToolRun.Of("convert", "--model", _runs.File("hub"), "--out", _runs.File("back")).Succeeded();
        Assert.Equal(Continue(_runs.File("stories")), Continue(_runs.File("back")));
    }

    [Fact]
    public void Tokenizer_files_of_the_model_count_before_the_size_of_gpt2s_vocabulary()
    {
        ToolRun.Of(_runs.Train("tiny", "run", "--set", "model.vocabularySize=50257", "--set", "training.steps=2")).Succeeded();
        ToolRun.Of("convert", "--model", _runs.File("run/final"), "--to", "huggingface", "--out", _runs.File("hub")).Succeeded();
        ToolRun.Of("convert", "--model", _runs.File("hub"), "--out", _runs.File("back")).Succeeded();
        Assert.Equal(Continue(_runs.File("run/final")), Continue(_runs.File("back")));
    }

    [Fact]
    public void A_tokenizer_of_another_model_is_refused()
    {
        var stories = SharedData.PathOrSkip("checkpoints/stories260K/hf");
        var run = ToolRun.Of("convert", "--model", stories, "--tokenizer", "gpt2", "--out", _runs.File("stories"));
        Assert.Equal(2, run.Code);
        Assert.Contains("50257 ids, the model a vocabulary of 512", Assert.Single(run.ErrorLines));
        Assert.False(Directory.Exists(_runs.File("stories")));
    }

    [Fact]
    public void A_transformer_becomes_a_folder_of_its_own_architecture()
    {
        ToolRun.Of(_runs.Train("tiny", "run")).Succeeded();
        var run = ToolRun.Of("convert", "--model", _runs.File("run/final"), "--to", "huggingface", "--out", _runs.File("hub")).Succeeded();
        Assert.Contains("mapped   blocks.0.mixer.qkv.weight -> transformer.h.0.attn.c_attn.weight", run.Output);
        Assert.Contains("read back and compared bit by bit", run.Output);
        Assert.Contains("GPT2LMHeadModel", File.ReadAllText(_runs.File("hub/config.json")));
        ToolRun.Of("convert", "--model", _runs.File("hub"), "--tokenizer", "byte", "--out", _runs.File("back")).Succeeded();
        Assert.Equal(Continue(_runs.File("run/final")), Continue(_runs.File("back")));
    }

    [Fact]
    public void An_existing_folder_is_kept_unless_it_is_a_model_folder_and_force_is_given()
    {
        ToolRun.Of(_runs.Train("tiny", "run")).Succeeded();
        var final = _runs.File("run/final");
        ToolRun.Of("convert", "--model", final, "--out", _runs.File("copy")).Succeeded();
        Check("exists and is not empty", "--model", final, "--out", _runs.File("copy"));
        ToolRun.Of("convert", "--model", final, "--out", _runs.File("copy"), "--force").Succeeded();
        Check("--force does not replace it", "--model", final, "--out", _runs.Root, "--force");
        Check("is a file", "--model", final, "--out", _runs.Text, "--force");
        Check("the folder of the model itself", "--model", final, "--out", final, "--force");
        Assert.True(File.Exists(_runs.Text));
        Assert.True(File.Exists(Path.Combine(final, "model.safetensors")));
    }

    [Fact]
    public void Mistakes_are_one_line()
    {
        ToolRun.Of(_runs.Train("tiny-f", "run")).Succeeded();
        var final = _runs.File("run/final");
        Check("--to is 'onnx'; allowed are cofrgenet and huggingface", "--model", final, "--out", _runs.File("x"), "--to", "onnx");
        Check("--architecture goes with --to huggingface only", "--model", final, "--out", _runs.File("x"), "--architecture", "gpt2");
        Check("--architecture is 'bloom'; allowed are auto, gpt2, llama and cofrgenet", "--model", final, "--out", _runs.File("x"), "--to", "huggingface", "--architecture", "bloom");
        Check("The model is no gpt2: its feed-forward is not mlp with biases", "--model", final, "--out", _runs.File("x"), "--to", "huggingface", "--architecture", "gpt2");
        Check("--shard-size is 'big'", "--model", final, "--out", _runs.File("x"), "--shard-size", "big");
        Check("--heads is 0", "--model", final, "--out", _runs.File("x"), "--heads", "0");
        Check("tokenizer 'words' is not known", "--model", final, "--out", _runs.File("x"), "--tokenizer", "words");
        Check("There is no ", "--model", _runs.File("absent"), "--out", _runs.File("x"));
        Assert.False(Directory.Exists(_runs.File("x")));
        Assert.Empty(Directory.GetDirectories(_runs.Root, "*.partial-*"));
    }

    [Fact]
    public void Refused_keys_are_reported_and_nothing_is_written()
    {
        ToolRun.Of(_runs.Train("tiny", "run")).Succeeded();
        ToolRun.Of("convert", "--model", _runs.File("run/final"), "--to", "huggingface", "--out", _runs.File("hub")).Succeeded();
        using (var source = WeightFiles.Open(_runs.File("hub")))
        {
            var entries = source.Tensors.Select(info =>
            {
                var bytes = new byte[info.ByteLength];
                source.Read(info.Name, bytes);
                return TensorEntry.FromBytes(info.Name, info.DType, info.Shape, bytes);
            }).Append(TensorEntry.FromSingles("transformer.h.0.lora.weight", [1], new float[1])).ToArray();
            WeightFiles.Write(_runs.File("hub"), entries);
        }

        var run = ToolRun.Of("convert", "--model", _runs.File("hub"), "--out", _runs.File("x"), "--json");
        Assert.Equal(2, run.Code);
        Assert.Contains("'transformer.h.0.lora.weight'", Assert.Single(run.ErrorLines));
        var key = run.Json.GetProperty("keys").EnumerateArray().Single(entry => entry.GetProperty("outcome").GetString() == "refused");
        Assert.Equal("transformer.h.0.lora.weight", key.GetProperty("key").GetString());
        Assert.False(run.Json.GetProperty("verified").GetBoolean());
        Assert.False(Directory.Exists(_runs.File("x")));
    }

    private static string Continue(string folder) =>
        ToolRun.Of("generate", "--model", folder, "--prompt", "Line", "--max-tokens", "8", "--temperature", "0", "--threads", "1").Succeeded().Output;

    private static void Check(string expected, params string[] arguments)
    {
        var run = ToolRun.Of(["convert", .. arguments]);
        Assert.Equal(2, run.Code);
        Assert.Empty(run.Output);
        Assert.Contains(expected, Assert.Single(run.ErrorLines));
    }
}
