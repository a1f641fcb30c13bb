using CoFrGeNet.Configuration;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Mixers;

/// <summary>Mixers with parameters for every position, against their formulas (PAPER section 2).</summary>
public class StaticMixerTests
{
    // float32 against double: sums of a dozen products around 1, a ladder, a softmax, and products of such sums.
    private const double Float32Sums = 5e-6;

    [Fact]
    public void Synthesizer_scores_positions_by_a_map_of_the_token()
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        using var mixer = MixerSamples.Create("synthesizer");
        var weights = mixer.state_dict();
        var x = FormulaWeights.Input(1, 9, MixerSamples.Width);
        var rows = PlainMath.Rows(x);
        var hidden = rows.Select(row => PlainMath.Linear(PlainMath.Rows(weights["hidden.weight"]), row).Select(v => Math.Max(0, v)).ToArray()).ToArray();
        var mixed = Csoftmax(3, rows, weights["value.weight"], (i, h, j) => PlainMath.Dot(PlainMath.Head(hidden[i], h, 3), PlainMath.Values(weights["positions"][h, j])));
        double[][] expected = [.. mixed.Select(row => PlainMath.Linear(PlainMath.Rows(weights["output.weight"]), row))];
        foreach (var device in TestDevices.Available)
        {
            using var there = MixerSamples.Create("synthesizer", device);
            PlainMath.AssertClose(expected, there.forward(x.to(device)), Float32Sums);
        }
    }

    [Theory]
    [InlineData("cattnm")]
    [InlineData("cattnm-clamp")]
    [InlineData("cattnm-relative")]
    public void Cattnm_is_the_causal_softmax_of_ladders_times_f(string name)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var config = (CAttnMConfig)MixerSamples.Config(name);
        using var mixer = MixerSamples.Create(name);
        var weights = mixer.state_dict();
        var x = FormulaWeights.Input(1, 9, MixerSamples.Width);
        var rows = PlainMath.Rows(x);
        var levels = Enumerable.Range(0, config.Ladders.Depth).Select(k => PlainMath.Rows(weights[$"ladders.levels.{k}"])).ToArray();
        var biases = Enumerable.Range(0, config.Ladders.Depth)
            .Select(k => weights.TryGetValue($"ladders.biases.{k}", out var bias) ? PlainMath.Values(bias) : null).ToArray();
        int heads = config.Heads, count = config.Ladders.Count;
        double Ladder(int token, int ladder) =>
            PlainMath.Ladder([.. levels.Select((level, k) => PlainMath.Dot(level[ladder], rows[token]) + (biases[k]?[ladder] ?? 0))], config.Ladders.Guard);
        var z = rows.Select((_, i) => Enumerable.Range(0, heads * count).Select(j => Ladder(i, j)).ToArray()).ToArray();

        // Softmax(z F) V with one F in R^(L x T) and one slice of V a head; a column of F is a position, or a distance.
        var expected = Csoftmax(heads, rows, weights["value.weight"], (i, h, j) =>
            PlainMath.Dot(PlainMath.Head(z[i], h, heads), PlainMath.Values(weights["positions"][h, config.RelativePositions ? i - j : j])));
        foreach (var device in TestDevices.Available)
        {
            using var there = MixerSamples.Create(name, device);
            PlainMath.AssertClose(expected, there.forward(x.to(device)), Float32Sums);
        }
    }

    [Theory]
    [InlineData("cattnu")]
    [InlineData("cattnu-deep")]
    [InlineData("cattnu-relative")]
    [InlineData("cattnu-map")]
    [InlineData("cattnu-maps")]
    [InlineData("cattnu-bias")]
    [InlineData("cattnu-forget")]
    [InlineData("cattnu-forget-maps")]
    public void Cattnu_is_the_product_of_two_triangular_maps_of_ladders(string name)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var config = (CAttnUConfig)MixerSamples.Config(name);
        using var mixer = MixerSamples.Create(name);
        var weights = mixer.state_dict();
        var x = FormulaWeights.Input(1, 8, MixerSamples.Width);
        var rows = PlainMath.Rows(x);
        var linear = PlainMath.Rows(weights["linear"]);
        var levels = Enumerable.Range(0, config.Depth - 1).Select(k => PlainMath.Rows(weights[$"levels.{k}"])).ToArray();
        // The first ensemble has the first map's outputs, the second the last map's.
        double[][][] inputs = config.InputMaps == 0 ? [rows] : [.. PlainMath.Rows(weights["inputs.weight"]).Chunk(MixerSamples.Width).Select((map, k) => rows.Select(row => Biased(PlainMath.Linear(map, row), k)).ToArray())];
        Assert.Equal(Math.Max(1, config.InputMaps), inputs.Length);
        double[] Biased(double[] values, int map) =>
            config.InputBias ? [.. values.Zip(PlainMath.Values(weights["inputs.bias"]).Skip(map * MixerSamples.Width), (value, bias) => value + bias)] : values;
        double Y(int e, int t, int c)
        {
            var value = inputs[Math.Min(e, inputs.Length - 1)][t][c];
            return (linear[e][t] * value) + PlainMath.Ladder([.. levels.Select(level => level[e][t] * value)], config.Guard);
        }

        // One T x (T + 1) matrix holds U_1 (lower, columns 0 .. T-1) and, transposed, U_2 (columns 1 .. T); or there is one number a distance for each head.
        var triangles = config.RelativePositions ? null : PlainMath.Rows(weights["triangles"]);
        var headSize = MixerSamples.Width / config.Heads;
        double U(int e, int i, int j, int c) =>
            triangles is null ? PlainMath.Values(weights["distances"][e, c / headSize])[i - j] : e == 0 ? triangles[i][j] : triangles[j][i + 1];
        // What is left of token j at token i: the product of the ladders 1 / (1 + e^v) of the tokens after it, as they are defined.
        var gates = config.ForgetGates ? PlainMath.Rows(weights["forget.weight"]) : [];
        var biases = config.ForgetGates ? PlainMath.Values(weights["forget.bias"]) : [];
        double Left(int gate, int i, int j) =>
            gates.Length == 0 ? 1 : Enumerable.Range(j + 1, i - j).Aggregate(1.0, (left, k) => left / (1 + Math.Exp(PlainMath.Dot(gates[gate], rows[k]) + biases[gate])));
        double Mixed(int e, int i, int c) => Enumerable.Range(0, i + 1).Sum(j => U(e, i, j, c) * Left((e * config.Heads) + (c / headSize), i, j) * Y(e, j, c));
        double[][] expected = [.. rows.Select((row, i) => row.Select((_, c) => Mixed(0, i, c) * Mixed(1, i, c)).ToArray())];
        foreach (var device in TestDevices.Available)
        {
            using var there = MixerSamples.Create(name, device);
            PlainMath.AssertClose(expected, there.forward(x.to(device)), Float32Sums);
        }
    }

    // Rows are computed in parts of 64 tokens and more. With 6 nats a token nothing is left of a text after 15 tokens, and e^-c_j would not be a number after 119.
    [Theory]
    [InlineData(200, 0.01)]
    [InlineData(200, 6)]
    [InlineData(600, 0.2)]
    public void Forget_gates_fade_long_texts_as_they_fade_short_ones(int context, double forgetting)
    {
        using var scope = NewDisposeScope();
        using var mixer = new CAttnU(4, context, new CAttnUConfig { RelativePositions = true, Heads = 2, ForgetGates = true, InitialForgetting = forgetting, InitialTailDecay = 0.99 });
        mixer.eval();
        var parameters = mixer.named_parameters().ToDictionary(entry => entry.name, entry => (Tensor)entry.parameter);
        using (no_grad())
        {
            parameters["forget.weight"].copy_(FormulaWeights.Input(4, 4) * 0.3);
        }

        // The definition in float64: y_e = w_0 x + 1 / (w_1 x) with the smooth guard, and a map for each sequence, ensemble and head.
        var exact = parameters.ToDictionary(entry => entry.Key, entry => entry.Value.detach().to(float64).requires_grad_());
        var x = FormulaWeights.Input(2, context, 4);
        var wide = x.to(float64);
        var left = nn.functional.logsigmoid(nn.functional.linear(wide, exact["forget.weight"], exact["forget.bias"]).neg()).cumsum(1).permute(2, 0, 1).view(2, 2, 2, context);
        var ages = arange(context).unsqueeze(1) - arange(context);
        var maps = exact["distances"].index_select(2, ages.clamp_min(0).flatten()).view(2, 2, 1, context, context).tril() * (left.unsqueeze(-1) - left.unsqueeze(-2)).clamp_max(0).exp();
        var level = exact["levels.0"].t().unsqueeze(-1) * wide.unsqueeze(2);
        var y = (exact["linear"].t().unsqueeze(-1) * wide.unsqueeze(2)) + (level / (level.square() + 1));
        var sums = matmul(maps, y.view(2, context, 2, 2, 2).permute(2, 3, 0, 1, 4));
        var expected = (sums[0] * sums[1]).permute(1, 2, 0, 3).reshape(2, context, 4);
        var upstream = FormulaWeights.Input(2, context, 4).square();
        (expected * upstream).sum().backward();

        // Sums of up to 600 products around 1 in float32, and of those over 1,200 tokens.
        var whole = mixer.forward(x);
        (whole * upstream).sum().backward();
        Assert.InRange(PlainMath.Deviation(whole, expected), 0, 2e-5);
        foreach (var (name, parameter) in parameters)
        {
            var scale = exact[name].grad!.abs().max().item<double>();
            Assert.True(scale > 0, name);
            Assert.InRange((parameter.grad! - exact[name].grad!).abs().max().item<double>() / scale, 0, 5e-5);
        }

        using var quiet = no_grad();
        using var cache = new MixerCache(context);
        var pieces = new List<Tensor>();
        foreach (var (first, count) in new[] { (0, 1), (1, 130), (131, 2), (133, context - 133) })
        {
            pieces.Add(mixer.forward(x.narrow(1, first, count), cache));
        }

        Assert.InRange(PlainMath.Deviation(cat(pieces, 1), expected), 0, 2e-5);
    }

    // Rounded to bfloat16, v would be off by up to 1/64, and what is left of a token after 100 others by a few hundredths.
    [Fact]
    public void Forget_gates_stay_in_float32_when_a_model_computes_in_bfloat16()
    {
        using var scope = NewDisposeScope();
        using var model = new LanguageModel(new()
        {
            VocabularySize = 7,
            ContextLength = 4,
            Width = 6,
            Blocks = [new() { Mixer = new CAttnUConfig { RelativePositions = true, InputMaps = 1, ForgetGates = true }, FeedForward = new GatedLinearConfig() }],
        })
        { ComputeType = ScalarType.BFloat16 };
        var maps = model.modules().OfType<Linear>().GroupBy(map => map.ComputeType ?? map.Weight.dtype).ToDictionary(group => group.Key, group => group.Count());
        Assert.Equal(1, maps[ScalarType.Float32]);
        Assert.Equal(3, maps[ScalarType.BFloat16]);
    }

    [Fact]
    public void The_triangles_of_cattnu_share_no_number()
    {
        using var scope = NewDisposeScope();
        using var mixer = new CAttnU(3, 5, new CAttnUConfig());

        // Every one of T (T + 1) numbers gets a gradient from exactly one triangle: T (T + 1) / 2 each.
        mixer.forward(FormulaWeights.Input(1, 5, 3)).sum().backward();
        var triangles = mixer.named_parameters().Single(entry => entry.name == "triangles").parameter;
        Assert.Equal([5, 6], triangles.shape);
        Assert.Equal(30, triangles.grad!.ne(0).sum().item<long>());
    }

    [Fact]
    public void Cattnu_starts_as_the_configuration_says()
    {
        using var scope = NewDisposeScope();
        using var mixer = new CAttnU(4, 6, new CAttnUConfig { InitialWeight = 0.75, InitialDiagonal = 0.25, InitialNoise = 1e-9, InitialTail = 2, InitialTailDecay = 0.5 });
        var weights = mixer.state_dict();
        Assert.All(PlainMath.Values(weights["linear"]), value => Assert.Equal(0.75, value));
        Assert.All(PlainMath.Values(weights["levels.0"]), value => Assert.Equal(0.75, value));
        var triangles = PlainMath.Rows(weights["triangles"]);
        for (var i = 0; i < 6; i++)
        {
            for (var j = 0; j < 7; j++)
            {
                // U_1 is the diagonal; U_2, transposed and one column to the right, has 2 / 2^distance beside it. The noise is of standard deviation 1e-9.
                var distance = j - 1 - i;
                var expected = j == i || distance == 0 ? 0.25 : distance > 0 ? 2 * Math.Pow(0.5, distance) : 0;
                Assert.Equal(expected, triangles[i][j], 1e-7);
            }
        }
    }

    [Fact]
    public void Forget_gates_start_as_the_configuration_says()
    {
        using var scope = NewDisposeScope();
        using var mixer = new CAttnU(4, 6, new CAttnUConfig { RelativePositions = true, Heads = 2, ForgetGates = true, InitialForgetting = 0.25 });
        var weights = mixer.state_dict();
        Assert.All(PlainMath.Values(weights["forget.weight"]), value => Assert.Equal(0, value));
        Assert.All(PlainMath.Values(weights["forget.bias"]), value => Assert.Equal(0.25, Math.Log(1 + Math.Exp(value)), 1e-7));
    }

    [Fact]
    public void Heads_of_cattnu_start_with_tails_of_doubled_length()
    {
        using var scope = NewDisposeScope();
        using var mixer = new CAttnU(4, 6, new CAttnUConfig { RelativePositions = true, Heads = 2, InitialDiagonal = 0.25, InitialNoise = 1e-9, InitialTail = 2, InitialTailDecay = 0.25 });
        var distances = mixer.state_dict()["distances"];
        for (var distance = 0; distance < 6; distance++)
        {
            // The decays are 1/4 and its root 1/2; amplitudes 2 and 2 (1 - 1/2) / (1 - 1/4). The noise is of standard deviation 1e-9.
            for (var head = 0; head < 2; head++)
            {
                Assert.Equal(distance == 0 ? 0.25 : 0, distances[0, head, distance].item<float>(), 1e-7);
            }

            Assert.Equal(distance == 0 ? 0.25 : 2 * Math.Pow(0.25, distance), distances[1, 0, distance].item<float>(), 1e-7);
            Assert.Equal(distance == 0 ? 0.25 : 4.0 / 3 * Math.Pow(0.5, distance), distances[1, 1, distance].item<float>(), 1e-7);
        }
    }

    // Rows of softmax over j <= i of logits(i, head, j), times the values W^v x, heads side by side.
    private static double[][] Csoftmax(int heads, double[][] x, Tensor value, Func<int, int, int, double> logit)
    {
        var values = x.Select(row => PlainMath.Linear(PlainMath.Rows(value), row)).ToArray();
        return
        [
            .. x.Select((_, i) => Enumerable.Range(0, heads).SelectMany(h => PlainMath.Mix(
                PlainMath.Softmax([.. Enumerable.Range(0, i + 1).Select(j => logit(i, h, j))]),
                values[..(i + 1)].Select(row => PlainMath.Head(row, h, heads)))).ToArray()),
        ];
    }
}
