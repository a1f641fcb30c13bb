using CoFrGeNet.Generation;

namespace CoFrGeNet.Tests.Generation;

/// <summary>Penalties, bias and exclusions are told by the token that wins; draws by which tokens are possible.</summary>
public class SamplerAdjustmentTests
{
    private static readonly SamplingOptions Greedy = new() { Temperature = 0 };

    [Fact]
    public void Repetition_penalty_divides_positive_and_multiplies_negative_logits_of_prompt_and_text()
    {
        var sampler = new Sampler(Greedy with { RepetitionPenalty = 2 });
        sampler.Begin([0, 2, 2]);
        // Token 0: 4 becomes 2; token 2: -1 becomes -2; however often they came.
        Assert.Equal(1, sampler.Next([4, 2.1f, -1]));
        Assert.Equal(0, new Sampler(Greedy with { RepetitionPenalty = 2 }).Next([4, 2.1f, -1]));
        // Token 1 was drawn, so it is penalised now: 2.1 becomes 1.05.
        Assert.Equal(0, sampler.Next([4, 2.1f, -1]));
        Assert.Equal(2, sampler.Next([-0.6f, -0.6f, -0.5f]));
        Assert.Equal(1, sampler.Next([-0.6f, -0.4f, -0.5f]));
    }

    [Fact]
    public void Presence_counts_once_frequency_each_time_and_neither_counts_the_prompt()
    {
        var presence = new Sampler(Greedy with { PresencePenalty = 1 });
        presence.Begin([0, 0]);
        Assert.Equal([0, 1, 0, 0], Draws(presence, [5, 4.5f], 4));
        var frequency = new Sampler(Greedy with { FrequencyPenalty = 1 });
        frequency.Begin([0, 0]);
        // 5 against 4.5: 0 (4), 1 (3.5), 0 (3), 1, ..
        Assert.Equal([0, 1, 0, 1, 0, 1], Draws(frequency, [5, 4.5f], 6));
        Assert.Equal([0, 0, 0], Draws(new Sampler(Greedy with { FrequencyPenalty = -1 }), [5, 4.5f], 3));
    }

    [Fact]
    public void Bias_is_added_after_the_penalties_and_exclusions_come_last()
    {
        var bias = new Dictionary<int, double> { [1] = 3, [2] = 100 };
        var sampler = new Sampler(Greedy with { RepetitionPenalty = 2, LogitBias = bias });
        sampler.Begin([1]);
        // Token 1: 2 / 2 + 3 = 4, not (2 + 3) / 2.
        Assert.Equal(1, sampler.Next([3, 2, 0], excluded: [2]));
        Assert.Equal(2, sampler.Next([3, 2, 0]));
    }

    [Theory]
    [InlineData(0.0, 5)]
    [InlineData(0.3, 3)]
    [InlineData(0.5, 2)]
    [InlineData(1.0, 1)]
    public void Min_p_keeps_what_is_likely_beside_the_likeliest(double minP, int kept)
    {
        // Shares of the likeliest: 1, 0.75, 0.375, 0.25, 0.125.
        float[] logits = [.. new[] { 0.4, 0.3, 0.15, 0.1, 0.05 }.Select(p => (float)Math.Log(p))];
        var sampler = new Sampler(new SamplingOptions { Temperature = 1, MinP = minP, Seed = 4 });
        Assert.Equal(Enumerable.Range(0, kept), Draws(sampler, logits, 2000).Distinct().Order());
    }

    [Fact]
    public void Top_p_takes_equal_tokens_by_id_up_to_the_share()
    {
        var sampler = new Sampler(new SamplingOptions { Temperature = 1, TopP = 0.5, Seed = 4 });
        Assert.Equal([0, 1, 2, 3, 4], Draws(sampler, new float[10], 2000).Distinct().Order());
    }

    [Fact]
    public void Every_filter_leaves_what_a_plain_reference_leaves()
    {
        var random = new Random(8);
        for (var round = 0; round < 300; round++)
        {
            // Few distinct values, so that ties at the edge are common.
            var logits = Enumerable.Range(0, 1 + random.Next(60)).Select(_ => (float)random.Next(-6, 6) / (1 + random.Next(2))).ToArray();
            var options = new SamplingOptions
            {
                Temperature = 0.5 + random.NextDouble(),
                TopK = random.Next(3) == 0 ? random.Next(2, 70) : 0,
                TopP = random.Next(3) == 0 ? 1 : 0.01 + (0.99 * random.NextDouble()),
                MinP = random.Next(2) * random.NextDouble(),
                Seed = round,
            };
            var allowed = Reference(logits, options);
            Assert.Subset(allowed, Draws(new Sampler(options), logits, 200).ToHashSet());
        }
    }

    [Fact]
    public void A_large_vocabulary_is_drawn_from_in_its_proportions()
    {
        // Blocks of a thousand: 0.1, 0.2, 0.3 and 0.4 of the whole, each spread evenly.
        var logits = Enumerable.Range(0, 4000).Select(id => (float)Math.Log(0.1 * (1 + (id / 1000)))).ToArray();
        var sampler = new Sampler(new SamplingOptions { Temperature = 1, Seed = 6 });
        var counts = new int[4];
        foreach (var id in Draws(sampler, logits, 20000))
        {
            counts[id / 1000]++;
        }

        for (var i = 0; i < 4; i++)
        {
            // 4.5 standard deviations of the largest share.
            Assert.InRange(counts[i] / 20000.0, (0.1 * (i + 1)) - 0.016, (0.1 * (i + 1)) + 0.016);
        }
    }

    [Fact]
    public void Draws_do_not_depend_on_what_is_drawn_beside_them()
    {
        var random = new Random(2);
        var small = Enumerable.Range(0, 100).Select(_ => random.NextSingle() * 5).ToArray();
        var large = Enumerable.Range(0, 5000).Select(_ => random.NextSingle() * 5).ToArray();
        var options = new SamplingOptions { Temperature = 1.3, TopK = 40, TopP = 0.9, FrequencyPenalty = 0.3, Seed = 12 };
        var alone = Draws(new Sampler(options), small, 100);
        var watched = new Sampler(options);
        var other = new Sampler(options with { TopK = 0, Seed = 13, RepetitionPenalty = 1.5 });
        Assert.Equal(alone, Enumerable.Range(0, 100).Select(_ =>
        {
            other.Next(large, [3, 4]);
            return watched.Next(small);
        }));
        Assert.NotEqual(alone[0], other.Next(small, alone.Distinct().ToArray()));
    }

    [Theory]
    [InlineData(0, 1.0, 0.0)]
    [InlineData(50, 0.9, 0.0)]
    [InlineData(0, 0.95, 0.01)]
    public void Steady_draws_allocate_nothing(int topK, double topP, double minP)
    {
        var random = new Random(2);
        var logits = Enumerable.Range(0, 3000).Select(_ => random.NextSingle() * 8).ToArray();
        var sampler = new Sampler(new SamplingOptions
        {
            TopK = topK,
            TopP = topP,
            MinP = minP,
            Seed = 1,
            RepetitionPenalty = 1.1,
            PresencePenalty = 0.1,
            FrequencyPenalty = 0.1,
            LogitBias = new Dictionary<int, double> { [5] = 1 },
            MaxTokens = 1000,
        });
        sampler.Begin([1, 2, 3]);
        Draws(sampler, logits, 100);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 500; i++)
        {
            sampler.Next(logits, [7]);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void New_options_out_of_range_are_named()
    {
        static string Message(SamplingOptions options) => Assert.Throws<UserErrorException>(options.Validate).Message;
        Assert.Equal("sampling.minP is 1.5; allowed is 0 to 1.", Message(new SamplingOptions { MinP = 1.5 }));
        Assert.Equal("sampling.repetitionPenalty is 0; allowed is 0.01 to 100.", Message(new SamplingOptions { RepetitionPenalty = 0 }));
        Assert.Contains("presencePenalty is NaN", Message(new SamplingOptions { PresencePenalty = double.NaN }));
        Assert.Contains("frequencyPenalty is", Message(new SamplingOptions { FrequencyPenalty = double.PositiveInfinity }));
        Assert.Contains("minTokens is 5; allowed is 0 to 4", Message(new SamplingOptions { MinTokens = 5, MaxTokens = 4 }));
        Assert.Contains("logitBias is NaN for token 3", Message(new SamplingOptions { LogitBias = new Dictionary<int, double> { [3] = double.NaN } }));
        Assert.Contains("logProbabilities is -1", Message(new SamplingOptions { LogProbabilities = -1 }));
    }

    private static int[] Draws(Sampler sampler, float[] logits, int count) => [.. Enumerable.Range(0, count).Select(_ => sampler.Next(logits))];

    private static HashSet<int> Reference(float[] logits, SamplingOptions options)
    {
        var order = Enumerable.Range(0, logits.Length).OrderByDescending(id => logits[id]).ThenBy(id => id).Take(options.TopK == 0 ? logits.Length : options.TopK).ToArray();
        var weights = order.Select(id => Math.Exp((logits[id] - logits[order[0]]) / options.Temperature)).ToArray();
        var (sum, reached, kept) = (weights.Sum(), 0.0, 0);
        // A hair more than the share: at an exact edge rounding decides, and one token more is right too.
        while (kept < order.Length && reached <= (sum * options.TopP) + (sum * 1e-6))
        {
            reached += weights[kept++];
        }

        return [.. order.Take(kept).Where((_, i) => weights[i] >= options.MinP - 1e-6)];
    }
}
