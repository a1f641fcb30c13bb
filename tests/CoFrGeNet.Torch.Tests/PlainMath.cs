using System.Numerics;
using CoFrGeNet.Configuration;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests;

/// <summary>The layers' formulas in plain loops over doubles, written from PAPER.md and not from the modules.</summary>
internal static class PlainMath
{
    public static double[][] Rows(Tensor x)
    {
        using var scope = NewDisposeScope();
        var flat = Values(x);
        var width = (int)x.shape[^1];
        return [.. flat.Chunk(width)];
    }

    public static double[] Values(Tensor x)
    {
        using var scope = NewDisposeScope();
        return x.detach().cpu().to(ScalarType.Float64).contiguous().data<double>().ToArray();
    }

    /// <summary>W x + b, a row of W an output.</summary>
    public static double[] Linear(double[][] weight, double[] x, double[]? bias = null) =>
        [.. weight.Select((row, i) => Dot(row, x) + (bias?[i] ?? 0))];

    public static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();

    public static double[] Softmax(double[] x)
    {
        var most = x.Max();
        var powers = x.Select(v => Math.Exp(v - most)).ToArray();
        return [.. powers.Select(v => v / powers.Sum())];
    }

    public static double Silu(double x) => x / (1 + Math.Exp(-x));

    public static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    /// <summary>The continuant K(a_1 .. a_n) by its defining recursion.</summary>
    public static double Continuant(ReadOnlySpan<double> a) => a.Length switch
    {
        0 => 1,
        1 => a[0],
        _ => (a[0] * Continuant(a[1..])) + Continuant(a[2..]),
    };

    /// <summary>A ladder with its guard, from the guards' definitions.</summary>
    public static double Ladder(double[] a, PoleGuard guard)
    {
        if (guard is PositiveGuard)
        {
            a = [.. a.Select(x => Math.Log(1 + Math.Exp(x)) + guard.Epsilon)];
        }

        double above = Continuant(a.AsSpan(1)), below = Continuant(a);
        return guard switch
        {
            ClampGuard => above / ((below < 0 ? -1 : 1) * Math.Max(Math.Abs(below), guard.Epsilon)),
            SmoothGuard => above * below / ((below * below) + (guard.Epsilon * guard.Epsilon)),
            _ => above / below,
        };
    }

    /// <summary>Coordinates i and i + s/2 as one complex number, turned by position x frequency.</summary>
    public static double[] Turn(double[] head, int position, IReadOnlyList<double> frequencies)
    {
        var half = head.Length / 2;
        var turned = new double[head.Length];
        for (var i = 0; i < half; i++)
        {
            var z = new Complex(head[i], head[i + half]) * Complex.Exp(Complex.ImaginaryOne * position * frequencies[i]);
            (turned[i], turned[i + half]) = (z.Real, z.Imaginary);
        }

        return turned;
    }

    /// <summary>sum_j weights_j rows_j.</summary>
    public static double[] Mix(double[] weights, IEnumerable<double[]> rows) =>
        rows.Zip(weights).Aggregate(Array.Empty<double>(), (sum, pair) =>
            [.. pair.First.Select((value, c) => (sum.Length == 0 ? 0 : sum[c]) + (value * pair.Second))]);

    /// <summary>The slice of head h of n.</summary>
    public static double[] Head(double[] x, int h, int heads) => x[(h * x.Length / heads)..((h + 1) * x.Length / heads)];

    /// <summary>All rows equal within tolerance x (1 + |expected|).</summary>
    public static void AssertClose(double[][] expected, Tensor actual, double tolerance)
    {
        var given = Rows(actual);
        Assert.Equal(expected.Length, given.Length);
        for (var row = 0; row < given.Length; row++)
        {
            Assert.Equal(expected[row].Length, given[row].Length);
            for (var c = 0; c < given[row].Length; c++)
            {
                var error = Math.Abs(expected[row][c] - given[row][c]);
                Assert.True(error <= tolerance * (1 + Math.Abs(expected[row][c])), $"[{row}, {c}]: {given[row][c]} instead of {expected[row][c]}");
            }
        }
    }

    /// <summary>Whether two tensors agree bit by bit.</summary>
    public static bool Same(Tensor x, Tensor y)
    {
        using var scope = NewDisposeScope();
        return x.shape.AsSpan().SequenceEqual(y.shape)
            && x.detach().cpu().contiguous().bytes.SequenceEqual(y.detach().cpu().contiguous().bytes);
    }

    /// <summary>The largest |x - y| / (1 + |y|).</summary>
    public static double Deviation(Tensor x, Tensor y)
    {
        double[] a = Values(x), b = Values(y);
        Assert.Equal(b.Length, a.Length);
        return a.Zip(b, (u, v) => Math.Abs(u - v) / (1 + Math.Abs(v))).Max();
    }
}
