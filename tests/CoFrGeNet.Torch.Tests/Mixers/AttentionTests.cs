using CoFrGeNet.Configuration;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Mixers;

public class AttentionTests
{
    // float32 against double: sums of a dozen products around 1, twice, and a softmax.
    private const double Float32Sums = 3e-6;

    [Theory]
    [InlineData("attention")]
    [InlineData("grouped-rotary")]
    [InlineData("sparse")]
    public void Attention_is_the_softmax_of_scaled_scores(string name)
    {
        foreach (var device in TestDevices.Available)
        {
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            using var mixer = (Attention)MixerSamples.Create(name, device);
            var x = FormulaWeights.Input(1, 9, MixerSamples.Width);
            var expected = Explicit((AttentionConfig)MixerSamples.Config(name), mixer, PlainMath.Rows(x));
            PlainMath.AssertClose(expected, mixer.forward(x.to(device)), Float32Sums);
        }
    }

    [Fact]
    public void The_sparse_pattern_is_a_window_and_every_stride_th_token()
    {
        var seen = Enumerable.Range(0, 9).Select(j => Sees(new SparseAttentionConfig { Heads = 1, Window = 2, Stride = 4 }, 8, j) ? j : -1).Where(j => j >= 0);
        Assert.Equal([3, 7, 8], seen);
    }

    // Computed apart from the code: 1 / 10000^(2i/8), i = 0 .. 3.
    [Fact]
    public void Plain_rotary_frequencies_are_powers_of_the_base()
    {
        double[] expected = [1, 0.1, 0.01, 0.001];

        // Powers in double: a few units of 1e-16.
        Assert.All(new Rotary(8, new RotaryConfig()).Frequencies.Zip(expected), pair => Assert.Equal(pair.Second, pair.First, 1e-15));
    }

    // Llama 3.2 (head 64, base 500000, factor 32, 1 and 4, 8192): computed once with Python from the published formula of
    // transformers' _compute_llama3_parameters. Index 0 turns fast and is kept, 31 is slow and divided by 32, 16 lies between.
    [Theory]
    [InlineData(0, 1.0)]
    [InlineData(8, 0.03760603093086393)]
    [InlineData(13, 0.004839421345719893)]
    [InlineData(14, 0.0032114459947525913)]
    [InlineData(15, 0.001290547928209264)]
    [InlineData(16, 0.00042955679655935816)]
    [InlineData(17, 9.70828780262767e-05)]
    [InlineData(18, 1.9461638184831125e-05)]
    [InlineData(31, 9.418306725434909e-08)]
    public void Llama3_scaling_keeps_fast_and_stretches_slow_frequencies(int index, double expected)
    {
        var rotary = new Rotary(64, new RotaryConfig
        {
            Theta = 500000,
            Scaling = new() { Factor = 32, LowFrequencyFactor = 1, HighFrequencyFactor = 4, OriginalContextLength = 8192 },
        });
        Assert.Equal(32, rotary.Frequencies.Count);

        // Two ways to write one formula in double.
        Assert.InRange(rotary.Frequencies[index] / expected, 1 - 1e-12, 1 + 1e-12);
    }

    [Fact]
    public void Rotary_is_a_turn_of_complex_numbers()
    {
        foreach (var device in TestDevices.Available)
        {
            using var scope = NewDisposeScope();
            var rotary = new Rotary(6, new RotaryConfig { Theta = 30 });
            var x = FormulaWeights.Input(1, 1, 5, 6);

            // At position 100,000 a float32 angle would be off by 0.004; sine, cosine and two products in float32 by 2e-7.
            foreach (var offset in new[] { 0, 3, 100_000 })
            {
                var expected = PlainMath.Rows(x).Select((row, t) => PlainMath.Turn(row, offset + t, rotary.Frequencies)).ToArray();
                PlainMath.AssertClose(expected, rotary.Apply(x.to(device), offset), 5e-7);
            }
        }
    }

    private static bool Sees(AttentionConfig config, int i, int j) =>
        config is not SparseAttentionConfig sparse || i - j < sparse.Window || (j + 1) % sparse.Stride == 0;

    private static double[][] Explicit(AttentionConfig config, Attention mixer, double[][] x)
    {
        var weights = mixer.state_dict().ToDictionary(entry => entry.Key, entry => entry.Value);
        double[]? Bias(string name) => weights.TryGetValue(name, out var bias) ? PlainMath.Values(bias) : null;
        int heads = config.Heads, groups = config.KeyValueHeads ?? heads, size = config.ResolveHeadSize(MixerSamples.Width);
        var rotary = config.Rotary is null ? null : new Rotary(size, config.Rotary);
        var qkv = x.Select(row => PlainMath.Linear(PlainMath.Rows(weights["qkv.weight"]), row, Bias("qkv.bias"))).ToArray();
        double[] Part(int t, int start, bool turned)
        {
            var part = qkv[t][start..(start + size)];
            return turned && rotary is not null ? PlainMath.Turn(part, t, rotary.Frequencies) : part;
        }

        return
        [
            .. x.Select((_, i) =>
            {
                var merged = Enumerable.Range(0, heads).SelectMany(h =>
                {
                    var group = h * groups / heads;
                    var seen = Enumerable.Range(0, i + 1).Where(j => Sees(config, i, j)).ToArray();
                    var query = Part(i, h * size, turned: true);
                    var scores = seen.Select(j => PlainMath.Dot(query, Part(j, (heads + group) * size, turned: true)) / Math.Sqrt(size));
                    return PlainMath.Mix(PlainMath.Softmax([.. scores]), seen.Select(j => Part(j, (heads + groups + group) * size, turned: false)));
                });
                return PlainMath.Linear(PlainMath.Rows(weights["output.weight"]), [.. merged], Bias("output.bias"));
            }),
        ];
    }
}
