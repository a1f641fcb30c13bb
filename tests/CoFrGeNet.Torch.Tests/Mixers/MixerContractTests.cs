using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Mixers;

/// <summary>What every token mixer promises, whatever it is made of.</summary>
public class MixerContractTests
{
    // A product of another shape may sum in another order: a few float32 roundings of 6e-8 on values around 1.
    private const double AnotherOrder = 2e-6;

    public static TheoryData<string> Names => MixerSamples.Names;

    [Theory]
    [MemberData(nameof(Names))]
    public void A_token_changes_nothing_before_it(string name)
    {
        foreach (var device in TestDevices.Available)
        {
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            using var mixer = MixerSamples.Create(name, device);
            foreach (var training in new[] { true, false })
            {
                mixer.train(training);
                // A copy as those below are, since products of few columns sum in an order that depends on where their memory begins.
                var x = FormulaWeights.Input(2, MixerSamples.Context, MixerSamples.Width).to(device).clone();
                var before = mixer.forward(x);
                for (long t = 0; t < MixerSamples.Context; t++)
                {
                    var changed = x.clone();
                    changed.narrow(1, t, 1).add_(0.5);
                    var after = mixer.forward(changed);

                    // The same shapes run the same code, so nothing may differ by a single bit.
                    Assert.True(PlainMath.Same(after.narrow(1, 0, t), before.narrow(1, 0, t)), $"{device}: token {t} reaches back");
                    Assert.False(PlainMath.Same(after.narrow(1, t, 1), before.narrow(1, t, 1)), $"{device}: token {t} does not matter");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Later_tokens_see_earlier_ones(string name)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        using var mixer = MixerSamples.Create(name);
        var x = FormulaWeights.Input(1, MixerSamples.Context, MixerSamples.Width);
        var changed = x.clone();
        changed.narrow(1, 3, 1).add_(0.5);
        var moved = (mixer.forward(changed) - mixer.forward(x)).abs().amax([0L, 2L]);

        // Position 3 is seen from 4, 5 and, as every fourth token of the sparse pattern, from everywhere after; forget gates of these weights take up to a nat and a half a token, of both factors.
        var least = name.Contains("forget", StringComparison.Ordinal) ? 1e-6 : 1e-4;
        Assert.All(PlainMath.Values(moved.narrow(0, 4, 6)), change => Assert.True(change > least, $"{change}"));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_shorter_prompt_gives_the_beginning_of_a_longer_one(string name)
    {
        foreach (var device in TestDevices.Available)
        {
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            using var mixer = MixerSamples.Create(name, device);
            var x = FormulaWeights.Input(2, MixerSamples.Context, MixerSamples.Width).to(device);
            var whole = mixer.forward(x);
            for (long length = 1; length < MixerSamples.Context; length++)
            {
                Assert.InRange(PlainMath.Deviation(mixer.forward(x.narrow(1, 0, length)), whole.narrow(1, 0, length)), 0, AnotherOrder);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Chunks_through_a_cache_give_the_whole(string name)
    {
        foreach (var device in TestDevices.Available)
        {
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            using var mixer = MixerSamples.Create(name, device);
            var x = FormulaWeights.Input(2, MixerSamples.Context, MixerSamples.Width).to(device);
            var whole = mixer.forward(x);
            for (var seed = 0; seed < 12; seed++)
            {
                using var cache = new MixerCache(MixerSamples.Context);
                var chunks = Chunks(mixer, x, cache, new Random(seed));
                Assert.Equal(MixerSamples.Context, cache.Length);
                Assert.InRange(PlainMath.Deviation(cat(chunks, 1), whole), 0, AnotherOrder);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_cache_that_is_cut_back_goes_on_from_there(string name)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        using var mixer = MixerSamples.Create(name);
        var x = FormulaWeights.Input(1, MixerSamples.Context, MixerSamples.Width);
        using var cache = new MixerCache(MixerSamples.Context);
        mixer.forward(x.narrow(1, 0, 3), cache);
        mixer.forward(x.narrow(1, 3, 4) + 1, cache);
        cache.Truncate(3);
        var rest = mixer.forward(x.narrow(1, 3, 7), cache);
        Assert.InRange(PlainMath.Deviation(rest, mixer.forward(x).narrow(1, 3, 7)), 0, AnotherOrder);
        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Truncate(11));
        using var small = new MixerCache(2);
        Assert.Throws<InvalidOperationException>(() => mixer.forward(x.narrow(1, 0, 3), small));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Sequences_of_a_batch_do_not_meet(string name)
    {
        foreach (var device in TestDevices.Available)
        {
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            using var mixer = MixerSamples.Create(name, device);
            var x = FormulaWeights.Input(3, MixerSamples.Context, MixerSamples.Width).to(device).clone();
            var together = mixer.forward(x);
            for (long b = 0; b < 3; b++)
            {
                Assert.InRange(PlainMath.Deviation(mixer.forward(x.narrow(0, b, 1)), together.narrow(0, b, 1)), 0, AnotherOrder);
            }

            var other = x.clone();
            other.narrow(0, 1, 1).zero_();
            Assert.True(PlainMath.Same(mixer.forward(other).narrow(0, 2, 1), together.narrow(0, 2, 1)));
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_parameter_gets_a_gradient(string name)
    {
        using var scope = NewDisposeScope();
        using var mixer = MixerSamples.Create(name);
        mixer.train();
        var y = mixer.forward(FormulaWeights.Input(2, MixerSamples.Context, MixerSamples.Width));
        (y * FormulaWeights.Input(y.shape)).sum().backward();
        Assert.All(mixer.named_parameters(), entry => Assert.True(entry.parameter.grad!.abs().sum().item<float>() > 0, entry.name));
    }

    private static List<Tensor> Chunks(TokenMixer mixer, Tensor x, MixerCache cache, Random random)
    {
        var outputs = new List<Tensor>();
        for (long start = 0; start < x.shape[1];)
        {
            var count = Math.Min(random.Next(1, 5), x.shape[1] - start);
            outputs.Add(mixer.forward(x.narrow(1, start, count), cache));
            start += count;
        }

        return outputs;
    }
}
