using System.Text.Json;

namespace CoFrGeNet.Cli.Tests.Verbs;

public sealed class DataTests : IDisposable
{
    private readonly TinyRuns _runs = new();

    public void Dispose() => _runs.Dispose();

    [Fact]
    public void A_text_is_prepared_trained_on_and_resumed_with_a_tokenizer_of_its_own()
    {
        var tokenizer = _runs.File("tokenizer.json");
        var learnt = ToolRun.Of("data", "train-tokenizer", "--input", _runs.Text, "--vocabulary-size", "280", "--output", tokenizer, "--json").Succeeded().Json;
        Assert.Equal(280, learnt.GetProperty("vocabularySize").GetInt32());
        Refused("exists; give another file", "data", "train-tokenizer", "--input", _runs.Text, "--output", tokenizer);

        var folder = _runs.File("prepared");
        string[] prepare = ["data", "prepare", "--input", _runs.Text, "--tokenizer", tokenizer, "--out", folder, "--validation", "0.2", "--longest-document", "1000", "--json"];
        var prepared = ToolRun.Of(prepare).Succeeded().Json;
        var manifest = prepared.GetProperty("manifest");
        Assert.False(prepared.GetProperty("wasComplete").GetBoolean());
        Assert.True(manifest.GetProperty("validation").GetProperty("documents").GetInt64() > 0);
        Assert.Equal(JsonSerializer.Serialize(manifest), JsonSerializer.Serialize(ToolRun.Of([.. prepare, "--threads", "1"]).Succeeded().Json.GetProperty("manifest")));
        Refused("was prepared with other options (splitSeed was 0 and is 1)", [.. prepare, "--split-seed", "1"]);
        ToolRun.Of([.. prepare, "--split-seed", "1", "--force"]).Succeeded();

        string[] data = ["--data", folder, "--set", $"data.tokenizer={folder}", "--set", "model.vocabularySize=280"];
        ToolRun.Of(["train", "--preset", "tiny", "--out", _runs.File("run"), "--threads", "1", .. TinyRuns.Small, .. data]).Succeeded();
        // The tokenizer goes with the model.
        File.Delete(tokenizer);
        Directory.Delete(folder, recursive: true);
        var text = ToolRun.Of("generate", "--model", _runs.File("run/final"), "--prompt", "Line", "--max-tokens", "3", "--ignore-end-of-text", "--json").Succeeded().Json;
        Assert.Equal(3, text.GetProperty("tokens").GetArrayLength());
    }

    [Fact]
    public void A_mix_is_given_by_a_file_and_its_epochs_are_told()
    {
        var other = _runs.Write("other.txt", string.Concat(Enumerable.Range(0, 80).Select(i => $"OTHER {i}\n\n")));
        var sources = new[] { new { path = _runs.Text, weight = 3 }, new { path = other, weight = 1 } };
        var config = _runs.Write("mix.json", JsonSerializer.Serialize(new { preset = "tiny", data = new { sources } }));
        string[] train = ["train", "--config", config, "--out", _runs.File("run"), "--threads", "1", .. TinyRuns.Small];
        ToolRun.Of(train).Succeeded();
        Assert.Contains("epochs: ", File.ReadAllText(_runs.File("run/metrics.jsonl")), StringComparison.Ordinal);
        Refused("data.sources[1].weight is 0; allowed is a number above 0", [.. train, "--force", "--set", "data.sources.1.weight=0"]);
    }

    [Theory]
    [InlineData("--input is missing", "data", "prepare", "--out", "x")]
    [InlineData("--out is missing", "data", "prepare", "--input", "x")]
    [InlineData("nowhere' does not exist", "data", "prepare", "--input", "nowhere", "--out", "never-made")]
    [InlineData("--layout is 'csv'; allowed are llmc and nanogpt", "data", "prepare", "--input", "x", "--out", "x", "--layout", "csv")]
    [InlineData("tokenizer 'gpt9' is not known", "data", "prepare", "--input", "x", "--out", "x", "--tokenizer", "gpt9")]
    [InlineData("holds no preparation to go on with", "data", "prepare", "--input", "x", "--out", "nowhere", "--resume")]
    [InlineData("There is no verb 'prepair'; did you mean 'prepare'? See 'cofrgenet data --help'", "data", "prepair")]
    [InlineData("There is no option '--inputs'; did you mean '--input'? See 'cofrgenet data prepare --help'", "data", "prepare", "--inputs", "x")]
    [InlineData("--vocabulary-size is 100; allowed is 257 to 1000000", "data", "train-tokenizer", "--input", "x", "--output", "y", "--vocabulary-size", "100")]
    [InlineData("--set data.tokenizer=PATH/tokenizer.json", "train", "--preset", "llama-3.2-1b", "--dry-run", "--set", "training.sequenceLength=1024")]
    public void Mistakes_are_told_in_a_line(string expected, params string[] arguments) => Refused(expected, arguments);

    private static void Refused(string expected, params string[] arguments)
    {
        var run = ToolRun.Of(arguments);
        Assert.Equal(2, run.Code);
        Assert.Contains(expected, run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Output);
        Assert.Single(run.ErrorLines);
    }
}
