using System.Text.Json.Nodes;
using CoFrGeNet.Tests;

namespace CoFrGeNet.Evaluation.Tests;

public class EvaluatorTests
{
    private static readonly string[] Answers = ["red", "cat", "sea", "sun"];

    // Question i has the right answer at place i % 2; all answers have three letters.
    private static string Piqa(int count) => Records.Jsonl([.. Enumerable.Range(0, count).Select(i => new
    {
        goal = $"Question number {i}",
        sol1 = Answers[i % 4],
        sol2 = Answers[(i + 1) % 4],
        label = i % 2,
    })]);

    private static string[] Solved(int count) =>
        [.. Enumerable.Range(0, count).Select(i => $"Question: Question number {i}\nAnswer: {Answers[(i + (i % 2)) % 4]}")];

    [Fact]
    public void A_model_that_knows_the_answers_scores_exactly_1()
    {
        using var folder = new TemporaryFolder();
        var results = Records.Run(FakeModel.Knowing(Solved(10)), "piqa", folder.Write("p.jsonl", Piqa(10)));
        Assert.Equal([1, 1], results.Tasks[0].Figures.Select(figure => figure.Value));
        Assert.Equal([0.0, 0.0], results.Tasks[0].Figures.Select(figure => figure.StandardError!.Value));
    }

    [Fact]
    public void A_model_that_knows_nothing_scores_exactly_chance()
    {
        using var folder = new TemporaryFolder();
        var results = Records.Run(FakeModel.Uniform(), "piqa", folder.Write("p.jsonl", Piqa(10)));
        Assert.Equal([0.5, 0.5], results.Tasks[0].Figures.Select(figure => figure.Value));
        Assert.Equal(Math.Sqrt(10 * 0.25 / 9 / 10), results.Tasks[0].Figures[0].StandardError!.Value, 15);
    }

    [Fact]
    public void Lambada_of_a_model_that_knows_it_has_accuracy_and_perplexity_1()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("l.jsonl", Records.Jsonl(new { text = "the end of the story" }, new { text = "déjà vu 🙂" }));
        var results = Records.Run(FakeModel.Knowing("the end of the story", "déjà vu 🙂"), "lambada_openai", file);
        Assert.Equal(1, results.Figure("acc"));
        Assert.Equal(1, results.Figure("perplexity"), 1e-6);
        // Nine bytes and five: the mean over documents of whole answers.
        var uniform = Records.Run(FakeModel.Uniform(), "lambada_openai", file);
        Assert.Equal((6 + 5) / 2.0 * Math.Log(257), Math.Log(uniform.Figure("perplexity")), 1e-4);
        Assert.Equal(0, uniform.Figure("acc"));
    }

    [Theory]
    [InlineData(3.0, 3)]
    [InlineData(0.25, 3)]
    [InlineData(100.0, 10)]
    public void A_limit_is_a_number_or_a_share(double limit, int expected)
    {
        using var folder = new TemporaryFolder();
        var results = Records.Run(FakeModel.Uniform(), "piqa", folder.Write("p.jsonl", Piqa(10)), new EvaluationOptions { Limit = limit });
        Assert.Equal(expected, results.Tasks[0].Samples.Count);
        Assert.Equal(expected, (int)results.ToJson([])["n-samples"]!["piqa"]!["effective"]!);
    }

    [Fact]
    public void Examples_are_drawn_as_Python_draws_them_and_never_the_record_itself()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("p.jsonl", Piqa(30));
        var source = new DatasetSource([$"piqa={file}", $"piqa:train={file}"]);
        var options = new EvaluationOptions { NumFewshot = 2, Limit = 2, Seed = 1234 };
        var results = new Evaluator(FakeModel.Uniform(), Text.ByteTokenizer.Instance, source, options).Run(["piqa"], stop: TestContext.Current.CancellationToken);
        var random = new PythonRandom(1234);
        foreach (var (sample, i) in results.Tasks[0].Samples.Select((sample, i) => (sample, i)))
        {
            // piqa has no test split, so one more is drawn.
            var drawn = random.Sample(30, 3).Where(number => number != i).Take(2);
            Assert.Equal(
                string.Concat(drawn.Select(number => Solved(30)[number] + "\n\n")) + $"Question: Question number {i}\nAnswer:",
                ((ContinuationRequest)sample.Sample.Requests[0]).Context);
        }
    }

    [Fact]
    public void Mmlu_takes_the_first_examples_of_its_subject_and_joins_its_groups()
    {
        using var folder = new TemporaryFolder();
        object Question(string subject, int number) => new { question = $"{subject} {number}?", subject, choices = new[] { "w", "x", "y", "z" }, answer = number % 4 };
        folder.Write("mmlu/dev.jsonl", Records.Jsonl([.. Subjects.SelectMany(subject => new[] { Question(subject, 0), Question(subject, 1) })]));
        folder.Write("mmlu/test.jsonl", Records.Jsonl([.. Subjects.Select((subject, i) => Question(subject, i)), Question("anatomy", 0)]));
        var results = new Evaluator(FakeModel.Uniform(), Text.ByteTokenizer.Instance, new DatasetSource([folder.Root]), new EvaluationOptions { NumFewshot = 1 })
            .Run(["mmlu"], stop: TestContext.Current.CancellationToken);
        var anatomy = results.Tasks.Single(task => task.Questions.Task.Name == "mmlu_anatomy");
        Assert.Equal(
            "The following are multiple choice questions (with answers) about anatomy.\n\nanatomy 0?\nA. w\nB. x\nC. y\nD. z\nAnswer: A\n\nanatomy 1?\nA. w\nB. x\nC. y\nD. z\nAnswer:",
            ((ContinuationRequest)anatomy.Samples[0].Sample.Requests[0]).Context);
        // The first choice wins each tie: right where the answer is A. One subject has a second question whose answer is A.
        var right = Enumerable.Range(0, 57).Count(i => i % 4 == 0) + 1;
        Assert.Equal(right / 58.0, results.Groups.Single(group => group.Group.Name == "mmlu").Figures[0].Value, 12);
        Assert.Equal(5, results.Groups.Count);
    }

    [Fact]
    public void The_document_has_the_layout_of_the_harness()
    {
        using var folder = new TemporaryFolder();
        var document = Records.Run(FakeModel.Uniform(), "piqa", folder.Write("p.jsonl", Piqa(10))).ToJson(new JsonObject { ["model"] = "m" });
        var piqa = document["results"]!["piqa"]!;
        Assert.Equal(0.5, (double)piqa["acc,none"]!);
        Assert.Equal(Math.Sqrt(1 / 36.0), (double)piqa["acc_norm_stderr,none"]!, 12);
        Assert.Equal("1", (string)document["versions"]!["piqa"]!);
        Assert.Equal(0, (int)document["n-shot"]!["piqa"]!);
        Assert.True((bool)document["higher_is_better"]!["piqa"]!["acc"]!);
        Assert.Equal("m", (string)document["config"]!["model"]!);
        Assert.Equal("validation", (string)document["configs"]!["piqa"]!["test_split"]!);
        Assert.Null(document["groups"]);
    }

    [Fact]
    public void Samples_hold_questions_answers_and_scores()
    {
        using var folder = new TemporaryFolder();
        var line = EvaluationResults.Samples(Records.Run(FakeModel.Knowing(Solved(2)), "piqa", folder.Write("p.jsonl", Piqa(2))).Tasks[0]).ElementAt(1);
        Assert.Equal(1, (int)line["doc_id"]!);
        Assert.Equal("1", (string)line["target"]!);
        Assert.Equal(" sea", (string)line["arguments"]!["gen_args_1"]!["arg_1"]!);
        Assert.True((bool)line["resps"]![1]![0]![1]!);
        Assert.Equal(1, (double)line["acc"]!);
    }

    [Fact]
    public void The_table_is_that_of_the_harness()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(
            """
            |Tasks|Version|Filter|n-shot| Metric |   |Value |   |Stderr|
            |-----|------:|------|-----:|--------|---|-----:|---|-----:|
            |piqa |      1|none  |     0|acc     |↑  |0.5000|±  |0.1667|
            |     |       |none  |     0|acc_norm|↑  |0.5000|±  |0.1667|

            """.ReplaceLineEndings("\n"),
            ResultsTable.Format(Records.Run(FakeModel.Uniform(), "piqa", folder.Write("p.jsonl", Piqa(10)))));
    }

    private static IReadOnlyList<string> Subjects => [.. TaskLibrary.Resolve(["mmlu"]).Select(task => task.Name["mmlu_".Length..])];
}
