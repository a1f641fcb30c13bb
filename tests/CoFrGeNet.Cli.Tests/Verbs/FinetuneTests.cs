using System.Text.Json;

namespace CoFrGeNet.Cli.Tests.Verbs;

public sealed class FinetuneTests : IDisposable
{
    private readonly TinyRuns _runs = new();

    public FinetuneTests() => ToolRun.Of(_runs.Train("tiny-f", "run")).Succeeded();

    public void Dispose() => _runs.Dispose();

    private string Labelled => _runs.Write("train.tsv", string.Concat(Enumerable.Range(0, 60).Select(i => i % 2 == 0 ? $"q{i}\t1\n" : $"w{i}\t0\n")));

    [Fact]
    public void Several_seeds_give_mean_and_spread_and_a_classifier_with_its_predictions()
    {
        string[] arguments =
        [
            "finetune", "--model", _runs.File("run/final"), "--task", "sst2", "--data", Labelled, "--test", "more=" + Labelled, "--out", _runs.File("sst2"),
            "--epochs", "2", "--batch-size", "8", "--learning-rate", "0.003", "--seeds", "1,2", "--lora-rank", "2", "--validation-fraction", "0.3", "--threads", "1", "--json",
        ];
        var report = ToolRun.Of(arguments).Succeeded().Json;
        var accuracies = report.GetProperty("seeds").EnumerateArray().Select(seed => seed.GetProperty("validation").GetProperty("accuracy").GetDouble()).ToArray();
        Assert.Equal(accuracies.Average(), report.GetProperty("mean").GetProperty("accuracy").GetDouble(), 12);
        Assert.Equal(Math.Abs(accuracies[0] - accuracies[1]) / Math.Sqrt(2), report.GetProperty("spread").GetProperty("accuracy").GetDouble(), 12);
        Assert.InRange(report.GetProperty("mean").GetProperty("more.f1").GetDouble(), 0, 1);
        foreach (var file in new[] { "config.json", "model.safetensors", "classifier.json", "classifier.safetensors", "metrics.json", "predictions.jsonl" })
        {
            Assert.True(File.Exists(_runs.File("sst2/" + file)), file);
        }

        var predictions = File.ReadAllLines(_runs.File("sst2/predictions-more.jsonl")).Select(line => JsonDocument.Parse(line).RootElement).ToArray();
        Assert.Equal(60, predictions.Length);
        var best = report.GetProperty("seeds").EnumerateArray().Single(seed => seed.GetProperty("seed").GetInt32() == report.GetProperty("bestSeed").GetInt32());
        Assert.Equal(
            best.GetProperty("tests").GetProperty("more").GetProperty("accuracy").GetDouble(),
            predictions.Average(line => line.GetProperty("label").GetString() == line.GetProperty("prediction").GetString() ? 1.0 : 0.0),
            12);
        Assert.Contains("is not empty", ToolRun.Of(arguments).Error);
        ToolRun.Of([.. arguments, "--force"]).Succeeded();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Text_lowers_its_own_loss(bool lora)
    {
        string[] arguments =
        [
            "finetune", "--model", _runs.File("run/final"), "--data", _runs.Text, "--out", _runs.File("more"), "--epochs", "2", "--batch-size", "4",
            "--learning-rate", "0.005", "--threads", "1", "--json", .. lora ? ["--lora-rank", "4"] : Array.Empty<string>(),
        ];
        var document = ToolRun.Of(arguments).Succeeded().Json;
        Assert.True(document.GetProperty("validationLoss").GetDouble() < document.GetProperty("lossBefore").GetDouble());
        ToolRun.Of("generate", "--model", _runs.File("more/final"), "--prompt", "Line", "--max-tokens", "3", "--threads", "1").Succeeded();
        Assert.Contains("is not empty", ToolRun.Of(arguments).Error);
    }

    [Fact]
    public void A_model_with_a_tokenizer_file_and_weights_in_shards_is_fine_tuned_exported_and_evaluated()
    {
        var tokenizer = _runs.File("vocabulary.json");
        ToolRun.Of("data", "train-tokenizer", "--input", _runs.Text, "--vocabulary-size", "300", "--output", tokenizer).Succeeded();
        ToolRun.Of(_runs.Train("tiny-f", "own", "--set", "data.tokenizer=" + tokenizer, "--set", "model.vocabularySize=300")).Succeeded();
        ToolRun.Of("convert", "--model", _runs.File("own/final"), "--to", "huggingface", "--shard-size", "2KB", "--out", _runs.File("hub")).Succeeded();
        Assert.True(File.Exists(_runs.File("hub/tokenizer.json")));
        foreach (var rank in new[] { "0", "2" })
        {
            var more = _runs.File("more" + rank);
            ToolRun.Of(
            [
                "finetune", "--model", _runs.File("hub"), "--data", _runs.Text, "--out", more, "--epochs", "1", "--batch-size", "4", "--threads", "1",
                .. rank == "0" ? Array.Empty<string>() : ["--lora-rank", rank],
            ]).Succeeded();
            ToolRun.Of("generate", "--model", Path.Combine(more, "final"), "--prompt", "Line", "--max-tokens", "3", "--threads", "1").Succeeded();
        }

        var labels = _runs.Write("labels.tsv", "sentence\tlabel\n" + string.Concat(Enumerable.Range(0, 20).Select(i => $"Line {i}\t{i % 2}\n")));
        ToolRun.Of("finetune", "--model", _runs.File("hub"), "--task", "sst2", "--data", labels, "--out", _runs.File("classifier"), "--epochs", "1", "--threads", "1").Succeeded();
        ToolRun.Of("eval", "--model", _runs.File("hub"), "--tasks", "ptb", "--data", "ptb=" + _runs.Text, "--threads", "1", "--json").Succeeded();
    }

    [Theory]
    [InlineData("--model is missing", "--data", "x")]
    [InlineData("--data is missing", "--model", "RUN")]
    [InlineData("There is no task 'sst'; did you mean 'sst2'?", "--model", "RUN", "--data", "x", "--out", "y", "--task", "sst")]
    [InlineData("Labelled texts need both columns", "--model", "RUN", "--data", "x", "--out", "y", "--text", "1")]
    [InlineData("There is no data file nowhere.tsv", "--model", "RUN", "--data", "nowhere.tsv", "--out", "y", "--task", "sst2")]
    [InlineData("finetune.epochs is 0", "--model", "RUN", "--data", "x", "--out", "y", "--task", "sst2", "--epochs", "0")]
    [InlineData("--seeds is 1,1", "--model", "RUN", "--data", "TEXT", "--out", "y", "--task", "sst2", "--seeds", "1,1")]
    [InlineData("lora.rank is 0", "--model", "RUN", "--data", "x", "--out", "y", "--lora-rank", "0")]
    [InlineData("belong to labelled texts", "--model", "RUN", "--data", "TEXT", "--out", "y", "--from-scratch")]
    public void Mistakes_are_one_line(string expected, params string[] arguments)
    {
        var run = ToolRun.Of(["finetune", .. arguments.Select(argument => argument switch { "RUN" => _runs.File("run/final"), "TEXT" => _runs.Text, _ => argument })]);
        Assert.Equal(2, run.Code);
        Assert.Empty(run.Output);
        Assert.Contains(expected, Assert.Single(run.ErrorLines));
    }
}
