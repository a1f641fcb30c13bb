using FsCheck;
using FsCheck.Fluent;

namespace CoFrGeNet.Training.Tests.Data;

public class WindowOrderTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(16)]
    [InlineData(17)]
    [InlineData(1000)]
    public void Every_window_comes_once_an_epoch(int count) => Assert.All(Enumerable.Range(0, 3), seed => AssertPermutations(count, seed));

    [Fact]
    public void Every_window_comes_once_an_epoch_whatever_the_count() => Prop.ForAll(
        Gen.Choose(1, 5000).ToArbitrary(), Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), AssertPermutations).QuickCheckThrowOnFailure();

    [Fact]
    public void Epochs_and_seeds_differ()
    {
        const int Count = 100;
        var orders = Enumerable.Range(0, 5).SelectMany(seed => Enumerable.Range(0, 5).Select(epoch => string.Join(' ', Epoch(new WindowOrder(Count, seed), Count, epoch))));
        Assert.Equal(25, orders.Distinct().Count());
    }

    // Chance alone puts a window next to its neighbour about twice in 1000, and keeps one in its place about once.
    [Fact]
    public void Windows_are_mixed_well()
    {
        const int Count = 1000;
        for (var seed = 0; seed < 20; seed++)
        {
            var order = Epoch(new WindowOrder(Count, seed), Count, 0);
            Assert.InRange(order.Zip(order.Skip(1)).Count(pair => Math.Abs(pair.First - pair.Second) == 1), 0, 15);
            Assert.InRange(order.Where((window, i) => window == i).Count(), 0, 12);

            // The mean of the first half: 499.5 with a deviation of 9; five of those.
            Assert.InRange(order.Take(Count / 2).Average(), 454, 545);
        }
    }

    [Fact]
    public void Any_position_is_reached_at_once_and_nothing_is_stored()
    {
        // An order that was walked or stored could not be asked for a window beyond 10^15.
        var order = new WindowOrder(1L << 40, 7);
        var windows = Enumerable.Range(0, 1000).Select(i => order.At((1L << 50) + i)).ToArray();
        Assert.Equal(1000, windows.Distinct().Count());
        Assert.All(windows, window => Assert.InRange(window, 0, (1L << 40) - 1));
        Assert.Equal(windows[^1], new WindowOrder(1L << 40, 7).At((1L << 50) + 999));
    }

    [Fact]
    public void There_must_be_a_window() => Assert.Throws<ArgumentOutOfRangeException>(() => new WindowOrder(0, 1));

    private static long[] Epoch(WindowOrder order, int count, int epoch) =>
        [.. Enumerable.Range(0, count).Select(i => order.At(((long)epoch * count) + i))];

    private static void AssertPermutations(int count, int seed)
    {
        var order = new WindowOrder(count, seed);
        foreach (var epoch in new[] { 0, 1, 1000 })
        {
            Assert.Equal(Enumerable.Range(0, count).Select(i => (long)i), Epoch(order, count, epoch).Order());
        }
    }
}
