using System.Text.Json;

namespace CoFrGeNet.Cli.Tests.Verbs;

public sealed class EvalTests : IDisposable
{
    private readonly TinyRuns _runs = new();

    public EvalTests() => ToolRun.Of(_runs.Train("tiny-f", "run")).Succeeded();

    public void Dispose() => _runs.Dispose();

    [Fact]
    public void Results_samples_and_answers_go_to_the_output_path_and_are_used_again()
    {
        Directory.CreateDirectory(_runs.File("data"));
        _runs.Write("data/piqa.jsonl", string.Concat(Enumerable.Range(0, 6).Select(i => $$"""{"goal":"g{{i}}","sol1":"a","sol2":"bc","label":{{i % 2}}}""" + "\n")));
        string[] arguments =
        [
            "eval", "--model", _runs.File("run/final"), "--tasks", "piqa,lambada_openai", "--data", _runs.File("data"),
            "--data", "lambada_openai=" + _runs.Write("l.jsonl", "{\"text\":\"one two three\"}\n{\"text\":\"Line 4 says\"}\n"),
            "--output_path", _runs.File("out"), "--log_samples", "--write_out", "--bootstrap_iters", "20", "--threads", "1", "--json",
        ];
        var first = ToolRun.Of(arguments).Succeeded();
        Assert.Contains("!!@@##@@!! context\nQuestion: g0\nAnswer:", first.Error);
        Assert.InRange(first.Json.GetProperty("results").GetProperty("piqa").GetProperty("acc,none").GetDouble(), 0, 1);
        Assert.True(first.Json.GetProperty("results").GetProperty("lambada_openai").GetProperty("perplexity_stderr,none").GetDouble() >= 0);
        Assert.Equal(6, Lines("samples_piqa_*.jsonl"));
        Assert.Single(Directory.GetFiles(_runs.File("out"), "results_*.json"));

        var second = ToolRun.Of(arguments).Succeeded();
        Assert.Contains("14 answers of earlier evaluations", second.Error);
        Assert.Equal(Results(first.Json), Results(second.Json));
        Assert.Equal(2, Directory.GetFiles(_runs.File("out"), "results_*.json").Length);
        var table = ToolRun.Of([.. arguments[..^1], "--limit", "2"]).Succeeded();
        Assert.StartsWith("|    Tasks     |Version|Filter|n-shot|", table.Output);
    }

    [Theory]
    [InlineData("--tasks is missing", "--model", "x")]
    [InlineData("There is no task 'piqqa'; did you mean 'piqa'?", "--tasks", "piqqa")]
    [InlineData("--model is missing", "--tasks", "piqa")]
    [InlineData("--log_samples needs a folder", "--tasks", "piqa", "--log_samples")]
    [InlineData("--batch_size is many; allowed is 1 or more, or auto", "--tasks", "piqa", "--model", "RUN", "--batch_size", "many")]
    [InlineData("--num_fewshot is -1", "--tasks", "piqa", "--model", "RUN", "--num_fewshot", "-1")]
    [InlineData("--window is 17; allowed is 1 to the model's context length 16", "--tasks", "ptb", "--model", "RUN", "--window", "17")]
    [InlineData("--limit is 1.5", "--tasks", "piqa", "--model", "RUN", "--limit", "1.5")]
    [InlineData("names no folder and no file", "--tasks", "piqa", "--model", "RUN", "--data", "piqa=nowhere.jsonl")]
    [InlineData("There is no data for piqa, split validation: --data was not given", "--tasks", "piqa", "--model", "RUN")]
    [InlineData("--revision is x; write REPO=REVISION", "--tasks", "piqa", "--model", "RUN", "--download", "--revision", "x")]
    public void Mistakes_are_one_line(string expected, params string[] arguments)
    {
        var run = ToolRun.Of(["eval", .. arguments.Select(argument => argument == "RUN" ? _runs.File("run/final") : argument)]);
        Assert.Equal(2, run.Code);
        Assert.Empty(run.Output);
        Assert.Contains(expected, Assert.Single(run.ErrorLines));
    }

    [Fact]
    public void The_list_of_tasks_needs_no_model()
    {
        var list = ToolRun.Of("eval", "--tasks", "list").Succeeded();
        Assert.Contains("arc_easy\n", list.Output);
        Assert.Contains("mmlu (57 tasks)", list.Output);
    }

    private int Lines(string pattern) => File.ReadAllLines(Assert.Single(Directory.GetFiles(_runs.File("out"), pattern))).Length;

    private static string Results(JsonElement document) => document.GetProperty("results").ToString();
}
