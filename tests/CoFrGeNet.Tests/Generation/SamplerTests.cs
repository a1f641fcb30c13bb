using CoFrGeNet.Generation;

namespace CoFrGeNet.Tests.Generation;

public class SamplerTests
{
    // Probabilities at temperature 1: 0.4, 0.3, 0.15, 0.1, 0.05; not in order, so that sorting matters.
    private static readonly double[] Probabilities = [0.15, 0.4, 0.05, 0.3, 0.1];
    private static readonly float[] Logits = [.. Probabilities.Select(p => (float)(Math.Log(p) + 3))];

    [Fact]
    public void Greedy_takes_the_largest_logit_and_the_smaller_id_of_equal_ones()
    {
        var sampler = new Sampler(new SamplingOptions { Temperature = 0 });
        Assert.Equal(1, sampler.Next(Logits));
        Assert.Equal(2, sampler.Next([0, 1, 5, 5]));
        Assert.Equal(0, new Sampler(new SamplingOptions { TopK = 1 }).Next([7, 7, 7]));
    }

    [Theory]
    [InlineData(1.0, 0, 1.0, new[] { 0.15, 0.4, 0.05, 0.3, 0.1 })]
    [InlineData(1.0, 2, 1.0, new[] { 0, 4.0 / 7, 0, 3.0 / 7, 0 })]
    [InlineData(1.0, 0, 0.7, new[] { 0, 4.0 / 7, 0, 3.0 / 7, 0 })]
    [InlineData(1.0, 0, 0.71, new[] { 0.15 / 0.85, 0.4 / 0.85, 0, 0.3 / 0.85, 0 })]
    [InlineData(1.0, 0, 0.0001, new[] { 0, 1.0, 0, 0, 0 })]
    // Top-p counts what top-k left: of 4/7 and 3/7 the first is enough for 0.5.
    [InlineData(1.0, 2, 0.5, new[] { 0, 1.0, 0, 0, 0 })]
    // The temperature comes first: squared and normalised, the likeliest token has 0.59, so it is enough for 0.5.
    [InlineData(0.5, 0, 0.5, new[] { 0, 1.0, 0, 0, 0 })]
    public void Draws_follow_temperature_then_top_k_then_top_p(double temperature, int topK, double topP, double[] expected)
    {
        const int draws = 40000;
        // Just below 0.7 rounding of the logits decides, so the share is a little less than the sum of two.
        var sampler = new Sampler(new SamplingOptions { Temperature = temperature, TopK = topK, TopP = topP == 0.7 ? 0.699 : topP, Seed = 11 });
        var counts = new int[5];
        for (var i = 0; i < draws; i++)
        {
            counts[sampler.Next(Logits)]++;
        }

        for (var id = 0; id < 5; id++)
        {
            var deviation = Math.Sqrt(expected[id] * (1 - expected[id]) / draws);
            Assert.InRange((double)counts[id] / draws, expected[id] - (4.5 * deviation), expected[id] + (4.5 * deviation));
        }
    }

    [Fact]
    public void Temperature_sharpens_as_the_softmax_says()
    {
        const int draws = 40000;
        var sampler = new Sampler(new SamplingOptions { Temperature = 0.5, Seed = 3 });
        var first = Enumerable.Range(0, draws).Count(_ => sampler.Next(Logits) == 1);
        var expected = 0.16 / Probabilities.Sum(p => p * p);
        Assert.InRange((double)first / draws, expected - 0.012, expected + 0.012);
    }

    [Fact]
    public void Top_p_keeps_the_same_tokens_as_a_full_sort()
    {
        var random = new Random(5);
        var logits = Enumerable.Range(0, 2000).Select(_ => (float)(random.NextDouble() * 12)).ToArray();
        var weights = logits.Select(logit => Math.Exp(logit)).ToArray();
        double sum = weights.Sum(), reached = 0;
        var nucleus = Enumerable.Range(0, 2000).OrderByDescending(id => weights[id]).TakeWhile(id =>
        {
            var before = reached;
            reached += weights[id];
            return before < 0.3 * sum;
        }).ToHashSet();
        var sampler = new Sampler(new SamplingOptions { Temperature = 1, TopP = 0.3, Seed = 1 });
        var drawn = Enumerable.Range(0, 20000).Select(_ => sampler.Next(logits)).ToHashSet();
        Assert.Subset(nucleus, drawn);
        Assert.True(drawn.Count > nucleus.Count * 0.95, $"{drawn.Count} of {nucleus.Count} tokens were ever drawn");
    }

    [Fact]
    public void Equal_seeds_give_equal_draws_and_others_do_not()
    {
        static int[] Draws(int? seed)
        {
            var sampler = new Sampler(new SamplingOptions { Temperature = 1, Seed = seed });
            return [.. Enumerable.Range(0, 50).Select(_ => sampler.Next(Logits))];
        }

        Assert.Equal(Draws(7), Draws(7));
        Assert.NotEqual(Draws(7), Draws(8));
        // The draws themselves are part of the contract: a seed printed today works tomorrow.
        Assert.Equal([1, 0, 4, 2, 1, 1], Draws(7)[..6]);
    }

    [Fact]
    public void A_seed_that_was_not_given_can_be_asked_for()
    {
        var sampler = new Sampler(new SamplingOptions { Temperature = 1 });
        var again = new Sampler(new SamplingOptions { Temperature = 1, Seed = sampler.Seed });
        Assert.Equal(Enumerable.Range(0, 20).Select(_ => sampler.Next(Logits)), Enumerable.Range(0, 20).Select(_ => again.Next(Logits)));
    }

    [Fact]
    public void Tokens_ruled_out_are_never_drawn_and_damaged_logits_are_named()
    {
        var sampler = new Sampler(new SamplingOptions { Temperature = 100, Seed = 2 });
        Assert.All(Enumerable.Range(0, 200), _ => Assert.Equal(1, sampler.Next([float.NegativeInfinity, 0, float.NegativeInfinity])));
        Assert.Contains("token 1", Assert.Throws<ArithmeticException>(() => sampler.Next([0, float.NaN])).Message);
        Assert.Throws<ArithmeticException>(() => sampler.Next([float.NegativeInfinity]));
    }

    [Fact]
    public void Options_out_of_range_name_value_and_range()
    {
        static string Message(SamplingOptions options) => Assert.Throws<UserErrorException>(options.Validate).Message;
        Assert.Equal("sampling.temperature is -1; allowed is 0 (greedy) or more.", Message(new SamplingOptions { Temperature = -1 }));
        Assert.Equal("sampling.topK is -2; allowed is 0 or more.", Message(new SamplingOptions { TopK = -2 }));
        Assert.Contains("topP is 1.5", Message(new SamplingOptions { TopP = 1.5 }));
        Assert.Contains("maxTokens is 0", Message(new SamplingOptions { MaxTokens = 0 }));
        Assert.Contains("stop is an empty text", Message(new SamplingOptions { Stop = ["a", ""] }));
    }
}
