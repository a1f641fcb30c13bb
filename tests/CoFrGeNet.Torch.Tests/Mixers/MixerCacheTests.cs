using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Mixers;

public class MixerCacheTests
{
    [Fact]
    public void It_grows_with_what_it_holds_and_keeps_it()
    {
        using var scope = NewDisposeScope();
        using var cache = new MixerCache(1000);
        var all = arange(2000, ScalarType.Float32).view(1, 1000, 2);
        long done = 0;
        foreach (var count in new long[] { 3, 200, 90, 1, 500, 206 })
        {
            var held = cache.Append(0, all.narrow(1, done, count), 1);
            var second = cache.Append(1, all.narrow(1, done, count).neg(), 1);
            done += count;
            cache.Advance(count);
            Assert.True(held.equal(all.narrow(1, 0, done)).all().item<bool>());
            Assert.True(second.equal(all.narrow(1, 0, done).neg()).all().item<bool>());
        }

        Assert.Equal(1000, cache.Length);
        cache.Truncate(700);
        Assert.Throws<InvalidOperationException>(() => cache.Append(0, all.narrow(1, 0, 301), 1));
        Assert.True(cache.Append(0, all.narrow(1, 0, 2), 1).narrow(1, 0, 700).equal(all.narrow(1, 0, 700)).all().item<bool>());
    }

    [Fact]
    public void A_long_context_costs_nothing_before_it_is_used()
    {
        using var scope = NewDisposeScope();
        using var cache = new MixerCache(1L << 40);
        var held = cache.Append(0, ones(1, 8, 5, 64), 2);
        Assert.Equal([1, 8, 5, 64], held.shape);
    }
}
