using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.FeedForward;

/// <summary>Feed-forwards and norms against their formulas in plain loops over doubles.</summary>
public class FeedForwardTests
{
    private const int Width = 10;

    // float32 against double: two sums of a dozen products around 1 and a smooth function between them.
    private const double Float32Sums = 3e-6;

    public static TheoryData<LadderKind, GateKind, bool, string, double> Ensembles => new()
    {
        { LadderKind.Projected, GateKind.Silu, true, "smooth", double.NaN },
        { LadderKind.Projected, GateKind.Sigmoid, false, "smooth", 0.5 },
        { LadderKind.Projected, GateKind.Silu, true, "clamp", 3 },
        { LadderKind.Projected, GateKind.Silu, true, "positive", double.NaN },
        { LadderKind.Projected, GateKind.Product, true, "smooth", double.NaN },
        { LadderKind.Elementwise, GateKind.Silu, false, "smooth", double.NaN },
        { LadderKind.Elementwise, GateKind.Sigmoid, true, "clamp", 3 },
    };

    [Theory]
    [MemberData(nameof(Ensembles))]
    public void Cffn_is_the_formula(LadderKind kind, GateKind gate, bool linearOnGated, string guard, double bias)
    {
        var config = new CffnConfig
        {
            Gate = gate,
            LinearOnGated = linearOnGated,
            Ladders = new() { Count = 4, Depth = 3, Kind = kind, Guard = Guard(guard), Bias = double.IsNaN(bias) ? null : bias },
        };
        Check(device => new Cffn(Width, config, new ModuleOptions { Device = device }), (w, x) => Cffn(config, w, x));
    }

    [Fact]
    public void Normalized_outputs_are_divided_by_their_root_mean_square()
    {
        var config = new CffnConfig { Ladders = new() { Count = 4, Depth = 3, NormalizeOutputs = true } };
        Check(device => new Cffn(Width, config, new ModuleOptions { Device = device }), (w, x) => Cffn(config, w, x));
    }

    [Theory]
    [InlineData(LadderKind.Projected, 2)]
    [InlineData(LadderKind.Projected, 0)]
    [InlineData(LadderKind.Elementwise, 1)]
    public void Ladders_cut_to_their_outer_levels_are_ladders_of_that_depth(LadderKind kind, int levels)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var config = new CffnConfig { Ladders = new() { Count = 4, Depth = 3, Kind = kind, Bias = 0.5 } };
        using var cffn = new Cffn(Width, config);
        FormulaWeights.Fill(cffn, 0.6);
        var x = FormulaWeights.Input(5, Width);
        cffn.Ladders.ActiveLevels = levels;
        var cut = cffn.forward(x);

        // Deeper weights are there and have no say.
        var shallow = config with { Ladders = config.Ladders with { Depth = levels } };
        double[][] expected = [.. PlainMath.Rows(x).Select(row => levels == 0
            ? PlainMath.Linear(PlainMath.Rows(cffn.state_dict()["linear.weight"]), Gated(config.Gate, cffn.state_dict(), row))
            : Cffn(shallow, cffn.state_dict(), row))];
        PlainMath.AssertClose(expected, cut, Float32Sums);
        cffn.Ladders.ActiveLevels = null;
        Assert.False(PlainMath.Same(cut, cffn.forward(x)));
    }

    // With a bias of 3 no ladder comes near a pole, so guarded continuants and the fraction as it is written down agree.
    [Fact]
    public void Ladders_are_nested_divisions_away_from_their_poles()
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var config = new LadderConfig { Count = 4, Depth = 5, Guard = PoleGuard.Paper, Bias = 3 };
        using var ladders = new Ladders(Width, config, ModuleOptions.Default);
        FormulaWeights.Fill(ladders, 0.1);
        foreach (var parameter in ladders.LevelParameters.Select(level => level[1]))
        {
            parameter.fill_(3);
        }

        var x = FormulaWeights.Input(6, Width);
        var levels = ladders.LevelParameters.Select(level => PlainMath.Rows(level[0])).ToArray();
        double[][] expected =
        [
            .. PlainMath.Rows(x).Select(row => Enumerable.Range(0, 4).Select(j =>
                NestedDivision.Evaluate<double>(levels.Select(level => 3 + PlainMath.Dot(level[j], row)).ToArray())).ToArray()),
        ];
        PlainMath.AssertClose(expected, ladders.forward(x), Float32Sums);
    }

    [Theory]
    [InlineData(GateKind.Silu)]
    [InlineData(GateKind.Sigmoid)]
    [InlineData(GateKind.Product)]
    public void Gated_linear_is_u_of_the_gated_input(GateKind gate) => Check(
        device => new GatedLinear(Width, new GatedLinearConfig { Gate = gate }, new ModuleOptions { Device = device }),
        (w, x) => PlainMath.Linear(PlainMath.Rows(w["linear.weight"]), Gated(gate, w, x)));

    [Theory]
    [InlineData(true, null)]
    [InlineData(false, 7)]
    public void Mlp_is_gelu_in_its_tanh_form_between_two_maps(bool bias, int? hidden) => Check(
        device => new Mlp(Width, new MlpConfig { Bias = bias, HiddenSize = hidden }, new ModuleOptions { Device = device }),
        (w, x) =>
        {
            var inner = PlainMath.Linear(PlainMath.Rows(w["up.weight"]), x, bias ? PlainMath.Values(w["up.bias"]) : null);
            Assert.Equal(hidden ?? 4 * Width, inner.Length);
            var active = inner.Select(v => 0.5 * v * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (v + (0.044715 * v * v * v))))).ToArray();
            return PlainMath.Linear(PlainMath.Rows(w["down.weight"]), active, bias ? PlainMath.Values(w["down.bias"]) : null);
        });

    [Fact]
    public void Swiglu_gates_one_map_with_another() => Check(
        device => new SwiGlu(Width, new SwiGluConfig { HiddenSize = 7 }, new ModuleOptions { Device = device }),
        (w, x) =>
        {
            var gate = PlainMath.Linear(PlainMath.Rows(w["gate.weight"]), x);
            var up = PlainMath.Linear(PlainMath.Rows(w["up.weight"]), x);
            return PlainMath.Linear(PlainMath.Rows(w["down.weight"]), [.. gate.Zip(up, (g, u) => PlainMath.Silu(g) * u)]);
        });

    [Fact]
    public void Rms_norm_divides_by_the_root_of_the_mean_square() => Check(
        device => new RmsNorm(Width, 0.1, new ModuleOptions { Device = device }),
        (w, x) => [.. x.Zip(PlainMath.Values(w["weight"]), (v, weight) => weight * v / Math.Sqrt(x.Average(u => u * u) + 0.1))]);

    [Fact]
    public void Layer_norm_takes_out_the_mean_first() => Check(
        device => new LayerNorm(Width, 0.1, new ModuleOptions { Device = device }),
        (w, x) =>
        {
            double mean = x.Average(), deviation = Math.Sqrt(x.Average(v => (v - mean) * (v - mean)) + 0.1);
            double[] weight = PlainMath.Values(w["weight"]), bias = PlainMath.Values(w["bias"]);
            return [.. x.Select((v, c) => (weight[c] * (v - mean) / deviation) + bias[c])];
        });

    [Theory]
    [MemberData(nameof(Ensembles))]
    public void Every_parameter_of_cffn_gets_a_gradient(LadderKind kind, GateKind gate, bool linearOnGated, string guard, double bias)
    {
        using var scope = NewDisposeScope();
        using var cffn = new Cffn(Width, new CffnConfig
        {
            Gate = gate,
            LinearOnGated = linearOnGated,
            Ladders = new() { Count = 4, Depth = 3, Kind = kind, Guard = Guard(guard), Bias = double.IsNaN(bias) ? null : bias },
        });
        cffn.forward(FormulaWeights.Input(2, 5, Width)).square().sum().backward();
        Assert.All(cffn.named_parameters(), entry => Assert.True(entry.parameter.grad!.abs().sum().item<float>() > 0, entry.name));
    }

    private static PoleGuard Guard(string name) => name switch
    {
        "clamp" => PoleGuard.Paper,
        "positive" => new PositiveGuard(),
        _ => PoleGuard.Default,
    };

    private static void Check(Func<Device, nn.Module<Tensor, Tensor>> create, Func<Dictionary<string, Tensor>, double[], double[]> formula)
    {
        foreach (var device in TestDevices.Available)
        {
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            using var module = create(device);
            FormulaWeights.Fill(module, 0.5);
            module.eval();
            var x = FormulaWeights.Input(2, 3, Width);
            var expected = PlainMath.Rows(x).Select(row => formula(module.state_dict(), row)).ToArray();
            var y = module.forward(x.to(device));
            Assert.Equal(x.shape, y.shape);
            PlainMath.AssertClose(expected, y, Float32Sums);
        }
    }

    private static double[] Gated(GateKind gate, Dictionary<string, Tensor> w, double[] x) =>
        [.. (gate == GateKind.Product ? PlainMath.Linear(PlainMath.Rows(w["value.weight"]), x) : x)
            .Zip(PlainMath.Linear(PlainMath.Rows(w["gate.weight"]), x), (v, g) => v * (gate == GateKind.Sigmoid ? PlainMath.Sigmoid(g) : PlainMath.Silu(g)))];

    // y = U g (or U x) + V z; z_j = f(W^(j) g), or coordinate by coordinate f(w_1j c, .., w_dj c) with V weighing each coordinate alone.
    private static double[] Cffn(CffnConfig config, Dictionary<string, Tensor> w, double[] x)
    {
        var ladders = config.Ladders;
        var g = Gated(config.Gate, w, x);
        var linear = PlainMath.Linear(PlainMath.Rows(w["linear.weight"]), config.LinearOnGated ? g : x);
        var combine = PlainMath.Rows(w["combine.weight"]);
        var levels = Enumerable.Range(0, ladders.Depth).Select(k => PlainMath.Rows(w[$"ladders.levels.{k}"])).ToArray();
        var biases = Enumerable.Range(0, ladders.Depth).Select(k => ladders.Bias is null ? null : PlainMath.Values(w[$"ladders.biases.{k}"])).ToArray();
        if (ladders.Kind == LadderKind.Projected)
        {
            var z = Enumerable.Range(0, ladders.Count).Select(j => PlainMath.Ladder(
                [.. levels.Select((level, k) => PlainMath.Dot(level[j], g) + (biases[k]?[j] ?? 0))], ladders.Guard)).ToArray();
            var size = ladders.NormalizeOutputs ? Math.Sqrt(z.Average(value => value * value) + 1e-5) : 1;
            return [.. linear.Zip(PlainMath.Linear(combine, [.. z.Select(value => value / size)]), (a, b) => a + b)];
        }

        return
        [
            .. linear.Select((value, c) => value + Enumerable.Range(0, ladders.Count).Sum(j => combine[j][c] * PlainMath.Ladder(
                [.. levels.Select((level, k) => (level[j][c] * g[c]) + (biases[k]?[(j * Width) + c] ?? 0))], ladders.Guard))),
        ];
    }
}
