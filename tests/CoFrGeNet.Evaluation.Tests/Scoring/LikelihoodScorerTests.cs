using CoFrGeNet.Tests;
using CoFrGeNet.Text;

namespace CoFrGeNet.Evaluation.Tests;

public class LikelihoodScorerTests
{
    private static readonly ContinuationRequest[] Requests =
    [
        .. Enumerable.Range(0, 40).Select(i => new ContinuationRequest(new string('c', i % 7), " answer number " + new string('x', i % 5) + i)),
        new("", "équipe 🙂"), new("", ""),
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(null)]
    public void Batches_give_what_single_sequences_give(int? size)
    {
        var expected = Score(FakeModel.Hashing(), 1, new RequestCache());
        var model = FakeModel.Hashing();
        Assert.Equal(expected, Score(model, size, new RequestCache()));
        Assert.True(size is null ? model.Calls == 1 : model.BatchSizes.All(count => count <= size));
    }

    [Fact]
    public void A_score_is_the_sum_of_log_probabilities_and_greedy_only_if_every_token_is()
    {
        // Token a: logit 2 among 256 zeros; after it, b: the greatest, at 1.
        var model = new FakeModel(10, (tokens, logits) =>
        {
            logits.Clear();
            logits[tokens.Length == 1 ? 'a' : 'b'] = tokens.Length == 1 ? 2 : 1;
        });
        var scores = Score(model, null, new RequestCache(), [new("", "ab"), new("", "ac")]);
        double first = 2 - Math.Log(Math.Exp(2) + 256), second = Math.Log(Math.E + 256);
        // float32 logits: seven digits of a sum of 257 terms.
        Assert.Equal(first + 1 - second, scores[0].LogLikelihood, 1e-5);
        Assert.Equal(first - second, scores[1].LogLikelihood, 1e-5);
        Assert.Equal([true, false], scores.Select(score => score.IsGreedy));
        Assert.Equal([2, 2], scores.Select(score => score.Tokens));
    }

    [Fact]
    public void Equal_questions_are_asked_once()
    {
        var model = FakeModel.Uniform();
        Score(model, 1, new RequestCache(), [new("a", "b"), new("a", "b"), new("a", "c")]);
        Assert.Equal(2, model.Calls);
    }

    [Fact]
    public void A_killed_evaluation_goes_on_where_it_was()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("requests.jsonl");
        var expected = Score(FakeModel.Hashing(), 4, new RequestCache());
        using (var cache = new RequestCache(path, "model"))
        {
            using var stop = new CancellationTokenSource();
            var scorer = new LikelihoodScorer(FakeModel.Hashing(), 4, cache);
            Assert.Throws<OperationCanceledException>(() => scorer.Score(Spans(Requests), (done, _) => Stop(stop, done), stop.Token));
        }

        // What a kill in the middle of a write leaves.
        File.AppendAllText(path, "{\"k\":\"12");
        using var again = new RequestCache(path, "model");
        Assert.Equal(8, again.Count);
        var model = FakeModel.Hashing();
        Assert.Equal(expected, Score(model, 4, again));
        Assert.Equal((Spans(Requests).Select(span => span.Key()).Distinct().Count() - 8 + 3) / 4, model.Calls);
        Assert.Equal(expected, Score(FakeModel.Uniform(), 4, again));
    }

    [Fact]
    public void Answers_of_another_model_are_not_taken()
    {
        using var folder = new TemporaryFolder();
        new RequestCache(folder.File("requests.jsonl"), "one").Dispose();
        Assert.Contains("another model", Assert.Throws<UserErrorException>(() => new RequestCache(folder.File("requests.jsonl"), "two")).Message);
    }

    private static void Stop(CancellationTokenSource stop, int done)
    {
        if (done >= 8)
        {
            stop.Cancel();
        }
    }

    private static TokenSpan[] Spans(ContinuationRequest[] requests) =>
        [.. requests.SelectMany(new RequestEncoder(ByteTokenizer.Instance, 1000).Encode)];

    private static RequestScore[] Score(FakeModel model, int? size, RequestCache cache, ContinuationRequest[]? requests = null) =>
        new LikelihoodScorer(model, size, cache).Score(Spans(requests ?? Requests), null, TestContext.Current.CancellationToken);
}
