using FsCheck;
using FsCheck.Fluent;

namespace CoFrGeNet.Training.Tests.Data;

public class WindowMixTests
{
    [Theory]
    [InlineData(3.0, 1.0)]
    [InlineData(1.0, 3.0)]
    [InlineData(0.3, 0.1)]
    [InlineData(1.0, 1.0)]
    [InlineData(0.7, 0.2, 0.1)]
    [InlineData(30.0, 20.0, 15.0, 10.0, 9.0, 8.0, 5.0, 2.0, 1.0)]
    [InlineData(1.0, 0.001)]
    [InlineData(5.0)]
    public void Every_stretch_holds_the_sources_in_their_ratio(params double[] weights)
    {
        var mix = new WindowMix(weights);
        foreach (var (start, count) in new[] { (0L, 10_000L), (123_456_789_012L, 10_000), (7, 2_000) })
        {
            var served = new double[weights.Length];
            for (var position = start; position < start + count; position++)
            {
                served[mix.At(position).Source]++;
            }

            // Within two windows anywhere: the pattern lags behind its shares by less than one.
            Assert.All(weights.Select((weight, i) => (Expected: weight / weights.Sum() * count, Seen: served[i])), source => Assert.InRange(source.Seen, source.Expected - 2, source.Expected + 2));
        }
    }

    [Fact]
    public void What_a_source_served_before_follows_from_the_position_alone() => Prop.ForAll(
        Gen.Choose(1, 9).ArrayOf(4).ToArbitrary(), Gen.Choose(0, 100_000).ToArbitrary(), (int[] weights, int start) =>
        {
            var mix = new WindowMix([.. weights.Select(weight => (double)weight)]);
            var served = Enumerable.Range(0, 4).Select(source => mix.Served(source, start)).ToArray();
            Assert.Equal(start, served.Sum());
            for (var position = start; position < start + 100; position++)
            {
                var (source, before) = mix.At(position);
                Assert.Equal(served[source]++, before);
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_weight_that_would_never_be_seen_is_refused() =>
        Assert.Contains("data.sources[1].weight is 1E-09", Assert.Throws<UserErrorException>(() => new WindowMix([1, 1e-9])).Message, StringComparison.Ordinal);

    [Fact]
    public void One_source_is_seen_in_the_order_that_it_had_alone()
    {
        var windows = new TrainingWindows(TrainingSamples.Text, TrainingSamples.Context, seed: 7);
        var order = new WindowOrder((TrainingSamples.Text.Train.Count - 1) / TrainingSamples.Context, 7);
        Assert.All(Enumerable.Range(0, 500), position => Assert.Equal((0, order.At(position)), windows.At(position)));
    }

    [Fact]
    public void Every_window_of_a_source_comes_once_before_any_comes_again()
    {
        var data = Mix(("a", 40, 3), ("b", 9, 1));
        var windows = new TrainingWindows(data, 4, seed: 3);
        var seen = Enumerable.Range(0, 400).Select(position => windows.At(position)).ToArray();
        foreach (var (source, count) in new[] { (0, 10), (1, 2) })
        {
            var numbers = seen.Where(window => window.Source == source).Select(window => window.Window).ToArray();
            Assert.All(numbers.Chunk(count).SkipLast(1), epoch => Assert.Equal(Enumerable.Range(0, count).Select(i => (long)i), epoch.Order()));
        }

        Assert.Equal([("a", 30.0), ("b", 50.0)], windows.Epochs(400));
    }

    [Fact]
    public void Joined_texts_hold_each_other_in_proportion_from_the_start()
    {
        var joined = new JoinedTokens([TrainingSamples.Corpus(new string('a', 100_000)), TrainingSamples.Corpus(new string('b', 300_000))]);
        Assert.Equal(400_002, joined.Count);
        var all = new long[joined.Count];
        joined.CopyTo(0, all);
        Assert.Equal((100_000, 300_000, 2), (all.Count(id => id == 'a'), all.Count(id => id == 'b'), all.Count(id => id == 256)));
        Assert.InRange(all.Take(150_000).Count(id => id == 'a'), 150_000 / 5, 150_000 / 3);
        var part = new long[50_000];
        joined.CopyTo(123_456, part);
        Assert.Equal(all[123_456..173_456], part);
    }

    private static TextData Mix(params (string Name, int Length, double Weight)[] sources)
    {
        var texts = sources.Select(source => new TextSource(source.Name, TrainingSamples.Corpus(new string(source.Name[0], source.Length)), source.Weight)).ToArray();
        return TrainingSamples.Text with { Train = new JoinedTokens([.. texts.Select(text => text.Tokens)]), Sources = texts };
    }
}
