using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Evaluation;
using CoFrGeNet.Generation;
using CoFrGeNet.Tests;
using CoFrGeNet.Text;

namespace CoFrGeNet.Server.Tests;

/// <summary>lm-evaluation-harness's requests and parsing rules, rendered in C#, against what <c>cofrgenet eval</c> computes in process.</summary>
public class HarnessTests
{
    private const int Questions = 200;

    [Fact]
    public async Task Likelihoods_over_http_equal_those_in_process_bit_by_bit()
    {
        var model = FakeModel.Babbling(600);
        await using var server = await TestServer.StartAsync(model);
        await CompareAsync(server, model, ByteTokenizer.Instance);
    }

    /// <summary>Asks both ways and compares every log-likelihood and every greedy flag.</summary>
    internal static async Task CompareAsync(TestServer server, ILanguageModel model, ITokenizer tokenizer)
    {
        var items = Items().ToArray();
        using var folder = new TemporaryFolder();
        var file = folder.Write("sciq.jsonl", string.Concat(items.Select(item => Record(item) + "\n")));
        var data = new DatasetSource(["sciq=" + file]);
        var results = new Evaluator(model, tokenizer, data, new EvaluationOptions()).Run(["sciq"], stop: TestServer.Cancel);
        var samples = results.Tasks.Single().Samples;
        Assert.Equal(Questions, samples.Count);
        var encoder = new RequestEncoder(tokenizer, model.ContextLength);
        foreach (var batch in samples.SelectMany(sample => sample.Sample.Requests.Cast<ContinuationRequest>().Zip(sample.Answers)).Chunk(32))
        {
            var pairs = batch.Select(pair => encoder.Split(pair.First.Context, pair.First.Continuation)).ToArray();
            var answers = await AskAsync(server, pairs);
            for (var i = 0; i < batch.Length; i++)
            {
                Assert.Equal(BitConverter.DoubleToInt64Bits(batch[i].Second.LogLikelihood), BitConverter.DoubleToInt64Bits(answers[i].LogLikelihood));
                Assert.Equal(batch[i].Second.IsGreedy, answers[i].IsGreedy);
            }
        }
    }

    // The request of local-completions, and its parse_logprobs: arrays without the last entry, from the end of the context on.
    private static async Task<(double LogLikelihood, bool IsGreedy)[]> AskAsync(TestServer server, (int[] Context, int[] Continuation)[] pairs)
    {
        var request = new JsonObject
        {
            ["model"] = "fake",
            ["prompt"] = JsonSerializer.SerializeToNode(pairs.Select(pair => pair.Context.Concat(pair.Continuation).ToArray())),
            ["temperature"] = 0,
            ["max_tokens"] = 1,
            ["logprobs"] = 1,
            ["seed"] = 1234,
            ["echo"] = true,
            ["task"] = "forwarded by the harness",
        };
        var (status, body, _) = await server.PostAsync("v1/completions", request.ToJsonString());
        Assert.Equal(System.Net.HttpStatusCode.OK, status);
        return [.. body["choices"]!.AsArray().OrderBy(choice => (int)choice!["index"]!).Zip(pairs, (choice, pair) =>
        {
            var logprobs = choice!["logprobs"]!;
            var values = logprobs["token_logprobs"]!.AsArray();
            var tops = logprobs["top_logprobs"]!.AsArray();
            Assert.Equal(pair.Context.Length + pair.Continuation.Length + 1, values.Count);
            double sum = 0;
            var isGreedy = true;
            for (var i = pair.Context.Length; i < values.Count - 1; i++)
            {
                sum += (double)values[i]!;
                isGreedy &= (double)values[i]! == tops[i]!.AsObject().Max(entry => (double)entry.Value!);
            }

            return (sum, isGreedy);
        })];
    }

    private static IEnumerable<(string Question, string[] Choices)> Items()
    {
        string[] subjects = ["water", "light", "a cell", "iron", "the moon", "sound", "a leaf", "salt", "wind", "glass"];
        string[] verbs = ["bend", "store", "carry", "break", "colour"];
        string[] things = ["heat", "air", "sugar", "rays", "dust", "metal", "sand", "bone"];
        for (var i = 0; i < Questions; i++)
        {
            var thing = Enumerable.Range(0, 4).Select(k => things[(i + (k * 3)) % things.Length] + (k == 2 ? " and " + subjects[(i + k) % subjects.Length] : string.Empty)).ToArray();
            yield return ($"What does {subjects[i % subjects.Length]} {verbs[i % verbs.Length]} at {i} degrees?", thing);
        }
    }

    private static string Record((string Question, string[] Choices) item) => new JsonObject
    {
        ["question"] = item.Question,
        ["support"] = "A made-up fact about " + item.Choices[0] + ".",
        ["correct_answer"] = item.Choices[3],
        ["distractor1"] = item.Choices[0],
        ["distractor2"] = item.Choices[1],
        ["distractor3"] = item.Choices[2],
    }.ToJsonString();
}
