using CoFrGeNet.Configuration;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Inspection;

public class LadderObservationTests
{
    private const int Width = 6;

    // The kernel computes f in float32, the expectation in float64.
    private const double Float32 = 1e-5;

    [Theory]
    [InlineData(LadderKind.Projected, "smooth")]
    [InlineData(LadderKind.Projected, "clamp")]
    [InlineData(LadderKind.Projected, "positive")]
    [InlineData(LadderKind.Elementwise, "smooth")]
    public void Counts_and_extremes_are_those_of_a_plain_loop(LadderKind kind, string guardName)
    {
        using var scope = NewDisposeScope();
        PoleGuard guard = guardName switch { "smooth" => new SmoothGuard { Epsilon = 0.5 }, "clamp" => new ClampGuard { Epsilon = 0.5 }, _ => new PositiveGuard() };
        var config = new LadderConfig { Count = 3, Depth = 2, Kind = kind, Guard = guard, WeightStd = 1 };
        using var ladders = new Ladders(Width, config, ModuleOptions.Default);
        FormulaWeights.Fill(ladders, 0.9);
        ladders.eval();
        var x = FormulaWeights.Input(7, Width);
        using var observed = new LadderObservation("blocks.0.feed_forward.ladders", ladders);
        using (no_grad())
        {
            ladders.forward(x);
        }

        var report = observed.Report();
        var levels = ladders.LevelParameters.Select(level => PlainMath.Rows(level[0])).ToArray();
        var rows = PlainMath.Rows(x);
        double[] Denominators(int j, double[] row) => kind == LadderKind.Projected
            ? [.. levels.Select(level => PlainMath.Dot(level[j], row))]
            : [.. levels.Select(level => level[j / Width][j % Width] * row[j % Width])];
        var count = kind == LadderKind.Projected ? 3 : 3 * Width;
        Assert.Equal(count, report.Ladders.Count);
        foreach (var ladder in report.Ladders)
        {
            var a = rows.Select(row => Denominators(ladder.Index, row)).ToArray();
            var k = a.Select(level => guard is PositiveGuard ? ((Soft(level[0]) + guard.Epsilon) * (Soft(level[1]) + guard.Epsilon)) + 1 : (level[0] * level[1]) + 1).ToArray();
            var f = a.Select(level => PlainMath.Ladder(level, guard)).ToArray();
            Assert.Equal(k.Count(value => Math.Abs(value) < guard.Epsilon) / (double)rows.Length, ladder.GuardedShare, 1e-12);
            Assert.Equal(k.Min(Math.Abs), ladder.MinDenominator, Float32);
            Assert.Equal(f.Max(Math.Abs), ladder.MaxOutput, Float32 * Math.Max(1, f.Max(Math.Abs)));
            Assert.Equal(k.Order().ElementAt(rows.Length / 2), ladder.Denominators.P50, Float32);
        }

        Assert.Equal(report.Ladders.Average(ladder => ladder.GuardedShare), report.GuardedShare, 1e-12);
    }

    [Fact]
    public void Outputs_beyond_the_trained_range_are_counted_as_clipped()
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        using var ladders = new Ladders(Width, new LadderConfig { Count = 3, Depth = 2, WeightStd = 1 }, ModuleOptions.Default);
        FormulaWeights.Fill(ladders, 0.9);
        ladders.train();
        ladders.forward(zeros(1, Width));
        ladders.eval();
        using var observed = new LadderObservation("blocks.0.mixer.ladders", ladders);
        ladders.forward(zeros(4, Width));
        Assert.Equal(0, observed.Report().ClippedShare);

        // Trained on the origin alone, every other place lies outside.
        ladders.forward(FormulaWeights.Input(4, Width));
        Assert.Equal(0.5, observed.Report().ClippedShare, 1e-9);
    }

    [Fact]
    public void Forget_gates_are_those_of_a_plain_loop()
    {
        const int Heads = 2;
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var preset = PresetLibrary.Get("small-u").Model;
        var mixerConfig = (CAttnUConfig)preset.Blocks[0].Mixer with { Heads = Heads, ForgetGates = true };
        using var model = new LanguageModel(preset with { Width = Width, ContextLength = 8, VocabularySize = 20, Blocks = [preset.Blocks[0] with { Repeat = 1, Mixer = mixerConfig }] });
        var mixer = Assert.IsType<CAttnU>(model.Blocks[0].Mixer);
        FormulaWeights.Fill(mixer, 0.9);
        var x = FormulaWeights.Input(8, Width).unsqueeze(0);
        var observed = Assert.Single(ForgetGateObservation.Of(model));
        mixer.forward(cat([x, x], 0), null);

        var maps = mixer.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        double[][] weights = PlainMath.Rows(maps["forget.weight"]), rows = PlainMath.Rows(x[0]);
        var biases = PlainMath.Rows(maps["forget.bias"].unsqueeze(0))[0];
        var report = observed.Report();
        Assert.Equal("blocks.0.mixer", observed.Name);
        Assert.Equal([(0, 0), (0, 1), (1, 0), (1, 1)], report.Select(gate => (gate.Ensemble, gate.Head)));
        for (var gate = 0; gate < 2 * Heads; gate++)
        {
            var f = rows.Select(row => 1 / (1 + Math.Exp(PlainMath.Dot(weights[gate], row) + biases[gate]))).ToArray();
            var left = Enumerable.Range(0, f.Length).Select(i => Enumerable.Range(0, i + 1).Sum(j => f[(j + 1)..(i + 1)].Aggregate(1.0, (product, value) => product * value)));
            Assert.Equal(f.Order().ElementAt((int)Math.Round(0.5 * (f.Length - 1))), report[gate].Kept.P50, Float32);
            Assert.Equal(f.Max(), report[gate].Kept.P99, Float32);
            Assert.Equal(f.Count(value => value < 0.5) / (double)f.Length, report[gate].ForgettingShare, 1e-12);
            Assert.Equal(left.Average(), report[gate].Memory, Float32 * report[gate].Memory);
        }

        // Some do and some do not, or nothing was counted.
        Assert.Contains(report, gate => gate.ForgettingShare is > 0 and < 1);
        observed.Dispose();
        Assert.Null(mixer.GateObserver);
    }

    [Fact]
    public void One_ladder_is_written_out_along_the_direction_in_which_it_varies()
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var model = new LanguageModel(PresetLibrary.Get("tiny-fu").Model with { Width = 16, ContextLength = 12, VocabularySize = 20, Blocks = [PresetLibrary.Get("tiny-fu").Model.Blocks[0] with { Repeat = 1 }] });
        model.eval();
        var layers = LadderObservation.Of(model);
        Assert.Equal(["blocks.0.mixer", "blocks.0.feed_forward.ladders"], layers.Select(layer => layer.Name));
        model.Hidden(arange(12, ScalarType.Int64).remainder(7).unsqueeze(0));
        foreach (var layer in layers)
        {
            var line = layer.Line(3);
            Assert.InRange(line.Explained, 0, 1 + 1e-9);

            // Standardised: mean 0 and variance 1 along the line.
            Assert.Equal(0, line.Places.Average(), 1e-6);
            Assert.Equal(1, line.Places.Average(t => t * t), 1e-6);
            // The mixer has the smooth guard, K / (K^2 + 1) in place of 1 / K; positive denominators need none.
            var denominator = line.Function.DenominatorAt(0.4);
            var guarded = layer == layers[0] ? denominator * denominator / ((denominator * denominator) + 1) : 1;
            Assert.Equal(line.Function.At(0.4) * guarded, line.Guarded(0.4), 1e-9);
            Assert.Contains("has no ladder 1000", Assert.Throws<UserErrorException>(() => layer.Line(1000)).Message, StringComparison.Ordinal);
        }

        // CAttnU's ladders have depth 1 here: a line explains all there is, and every sample lies on the curve.
        var mixer = layers[0].Line(3);
        Assert.Equal(1, mixer.Explained, 1e-9);
        Assert.All(mixer.Places.Zip(mixer.Outputs), sample => Assert.Equal(mixer.Guarded(sample.First), sample.Second, Float32));
        foreach (var layer in layers)
        {
            layer.Dispose();
        }

        Assert.All(model.modules().OfType<ILadderLayer>(), layer => Assert.Null(layer.Observer));
        model.Dispose();
    }

    private static double Soft(double x) => Math.Log(1 + Math.Exp(x));
}
