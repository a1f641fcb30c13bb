using CoFrGeNet.Generation;

namespace CoFrGeNet.Tests.Generation;

public class LogSoftmaxTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(513)]
    [InlineData(50257)]
    public void Equals_the_formula_in_float64(int count)
    {
        var logits = Logits(count, 30);
        var probabilities = new LogSoftmax(logits);
        var largest = logits.Max();
        var logSum = Math.Log(logits.Sum(logit => Math.Exp((double)logit - largest)));
        foreach (var token in new[] { 0, count / 2, count - 1 })
        {
            // The exponentials are float32: an error of 1e-7 of the sum each, which the logarithm turns into an absolute one.
            Assert.InRange(probabilities[token], (double)logits[token] - largest - logSum - 2e-6, (double)logits[token] - largest - logSum + 2e-6);
        }

        Assert.Equal(Array.IndexOf(logits, largest), probabilities.Best);
    }

    [Fact]
    public void Does_not_depend_on_where_the_logits_lie()
    {
        var logits = Logits(5003, 9);
        var bits = new List<double>();
        for (var shift = 0; shift < 20; shift++)
        {
            var moved = new float[logits.Length + 20];
            logits.CopyTo(moved, shift);
            bits.Add(new LogSoftmax(moved.AsSpan(shift, logits.Length))[17]);
        }

        Assert.Single(bits.Distinct());
    }

    [Fact]
    public void The_likeliest_come_in_order_and_equal_ones_by_id()
    {
        var top = new LogSoftmax([1, 3, 2, 3, 9]).Of(0, 3, vocabularySize: 4);
        Assert.Equal([1, 3, 2], top.Top.Select(entry => entry.Token));
        Assert.Equal(top.Top[0].LogProbability, top.Top[1].LogProbability);
        Assert.Equal(0, top.Chosen.Token);
        Assert.Equal(4, new LogSoftmax([1, 3, 2, 3]).Of(0, 100, vocabularySize: 10).Top.Count);
        Assert.Empty(new LogSoftmax([1, 3]).Of(0, 0, vocabularySize: 2).Top);
        var logits = Logits(300, 4);
        Assert.Equal(
            Enumerable.Range(0, 300).OrderByDescending(id => logits[id]).ThenBy(id => id).Take(20),
            new LogSoftmax(logits).Of(0, 20, 300).Top.Select(entry => entry.Token));
    }

    [Fact]
    public void Impossible_tokens_have_the_least_value_and_damage_is_named()
    {
        Assert.Equal(LogSoftmax.Least, new LogSoftmax([0, float.NegativeInfinity])[1]);
        Assert.Equal(LogSoftmax.Least, new LogSoftmax([0, -1e30f])[1]);
        Assert.Equal(0, new LogSoftmax([0, -1e30f])[0]);
        Assert.Throws<ArithmeticException>(() => new LogSoftmax([0, float.NaN]).Best);
        Assert.Throws<ArithmeticException>(() => new LogSoftmax([0, float.PositiveInfinity]).Best);
    }

    [Fact]
    public void Prompts_are_scored_by_what_comes_before_each_token()
    {
        // The logits after a sequence are its sum and its length, which no other position has.
        var model = new ScriptedModel(300, 10, sequence =>
        {
            var logits = new float[300];
            logits[sequence.Sum()] = 2;
            logits[sequence.Count] = 1;
            return logits;
        });
        var next = new Dictionary<int, float[]>();
        var scores = PromptScorer.Score(model, [new[] { 20, 21, 41 }, new[] { 5 }], 1, 257, (prompt, logits) => next[prompt] = logits.ToArray());
        Assert.Null(scores[0][0]);
        Assert.Null(Assert.Single(scores[1]));
        Assert.Equal(new LogSoftmax(Given(20, 1))[21], scores[0][1]!.Chosen.LogProbability);
        Assert.Equal(20, Assert.Single(scores[0][1]!.Top).Token);
        Assert.Equal(new LogSoftmax(Given(41, 2))[41], scores[0][2]!.Chosen.LogProbability);
        Assert.Equal(scores[0][2]!.Chosen, Assert.Single(scores[0][2]!.Top));
        Assert.Equal([0, 1], next.Keys.Order());
        Assert.Equal(Given(82, 3), next[0]);
        Assert.Equal(Given(5, 1), next[1]);
        Assert.Null(Assert.Single(Assert.Single(PromptScorer.Score(model, [new[] { 5 }], 1, 257))));

        static float[] Given(int sum, int count)
        {
            var logits = new float[300];
            logits[sum] = 2;
            logits[count] = 1;
            return logits;
        }
    }

    private static float[] Logits(int count, float scale)
    {
        var random = new Random(count);
        return [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() * scale)];
    }
}
