using System.Globalization;
using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Benchmarks;

// Dimensions: n = samples, d = depth, k = level (1 = outermost).

/// <summary>
/// How accurate gradients of ladders are: nested division with plain autograd, the closed form composed of tensor operations, and the
/// fused kernel, each in float32 and bfloat16 against the closed form in float64 on the same inputs, by distance |K_d| to the pole.
/// The error of a sample is the largest |error of df/da_k| over the largest |df/da_k|.
/// </summary>
internal static class GradientAccuracy
{
    private const int Samples = 40_000;

    // The smallest guard: it changes nothing at the distances looked at.
    private static readonly PoleGuard Guard = new ClampGuard { Epsilon = LadderRange.MinEpsilon };

    // Upper ends; the first begins at 1e-4.
    private static readonly (double End, string Name)[] Distances =
        [(1e-3, "1e-4 .. 1e-3"), (1e-2, "1e-3 .. 1e-2"), (1e-1, "1e-2 .. 0.1"), (1, "0.1 .. 1"), (double.PositiveInfinity, "1 .. ")];

    private static readonly string[] Methods = ["nested", "composed", "fused"];

    /// <summary>Writes one table a type, in Markdown.</summary>
    /// <param name="writer">Where to.</param>
    public static void Write(TextWriter writer)
    {
        foreach (var type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
        {
            writer.WriteLine($"## {type}");
            writer.WriteLine();
            writer.WriteLine("| d | distance | samples | nested, median | composed, median | fused, median | nested, 99.9 % | composed, 99.9 % | fused, 99.9 % |");
            writer.WriteLine("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
            for (var depth = 1; depth <= 8; depth++)
            {
                WriteDepth(writer, type, depth);
            }

            writer.WriteLine();
        }
    }

    private static void WriteDepth(TextWriter writer, ScalarType type, int depth)
    {
        using var scope = NewDisposeScope();
        var a = Draw(depth, type);
        var exact = Values(a);
        var gradients = Methods.ToDictionary(method => method, method => Values(Gradient(a, method)));
        var errors = Distances.ToDictionary(distance => distance.Name, _ => Methods.ToDictionary(method => method, _ => new List<double>()));
        var levels = new double[depth];
        var expected = new double[depth];
        var continuants = new double[depth + 1];
        for (var i = 0; i < Samples; i++)
        {
            for (var k = 0; k < depth; k++)
            {
                levels[k] = exact[(k * Samples) + i];
            }

            Continuant.Fill<double>(levels, continuants);
            var distance = Math.Abs(continuants[depth]);
            if (distance < 1e-4)
            {
                continue;
            }

            Continuant.Gradient<double>(levels, Guard, expected);
            var largest = expected.Max(Math.Abs);
            foreach (var method in Methods)
            {
                var error = Enumerable.Range(0, depth).Max(k => Math.Abs(gradients[method][(k * Samples) + i] - expected[k])) / largest;
                errors[Distances.First(bin => distance < bin.End).Name][method].Add(double.IsNaN(error) ? double.PositiveInfinity : error);
            }
        }

        foreach (var (_, name) in Distances)
        {
            var bin = errors[name];
            string Cells(double share) => string.Join(" | ", Methods.Select(method => Quantile(bin[method], share)));
            writer.WriteLine($"| {depth} | {name} | {bin[Methods[0]].Count} | {Cells(0.5)} | {Cells(0.999)} |");
        }
    }

    // [d, n], of the given type: standard normal, with a_1 such that |K_d| is spread evenly over the powers of ten in three quarters of the samples.
    private static Tensor Draw(int depth, ScalarType type)
    {
        var random = new Random(depth);
        double Normal() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        var values = new double[depth * Samples];
        var levels = new double[depth];
        var continuants = new double[depth + 1];
        for (var i = 0; i < Samples; i++)
        {
            for (var k = 0; k < depth; k++)
            {
                levels[k] = Normal();
            }

            using (var rounded = tensor(levels).to_type(type).to_type(ScalarType.Float64))
            {
                rounded.data<double>().CopyTo(levels);
            }

            Continuant.Fill<double>(levels, continuants);
            if (i % 4 != 0)
            {
                var target = Math.Pow(10, -4 + (4 * random.NextDouble())) * (random.Next(2) == 0 ? -1 : 1);
                levels[0] = (target - (depth > 1 ? continuants[depth - 2] : 0)) / continuants[depth - 1];
            }

            for (var k = 0; k < depth; k++)
            {
                values[(k * Samples) + i] = Math.Clamp(levels[k], -1e4, 1e4);
            }
        }

        return tensor(values, [depth, Samples]).to_type(type);
    }

    private static Tensor Gradient(Tensor a, string method)
    {
        LadderFunction.Backend = method == "composed" ? LadderBackend.Composed : LadderBackend.Fused;
        var leaf = a.detach().requires_grad_(true);
        var f = method == "nested" ? LadderReference.NestedDivision(leaf) : LadderFunction.Apply(leaf, Guard);
        return autograd.grad([f], [leaf], [ones_like(f)])[0];
    }

    private static double[] Values(Tensor x) => [.. x.detach().to_type(ScalarType.Float64).contiguous().data<double>()];

    private static string Quantile(List<double> errors, double share)
    {
        if (errors.Count == 0)
        {
            return "-";
        }

        var sorted = errors.Order().ToArray();
        var value = sorted[Math.Min(sorted.Length - 1, (int)(share * sorted.Length))];
        return double.IsInfinity(value) ? "not finite" : value.ToString("0.0e-00", CultureInfo.InvariantCulture);
    }
}
