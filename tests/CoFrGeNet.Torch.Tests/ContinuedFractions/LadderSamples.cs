using CoFrGeNet.Configuration;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.ContinuedFractions;

// Dimensions: n = rows (tokens), d = depth, L = number of ladders.

/// <summary>Inputs and small helpers for the ladder tests.</summary>
internal static class LadderSamples
{
    /// <summary>Guards by name, because theory data must be printable.</summary>
    public static PoleGuard Guard(string name) => name switch
    {
        "clamp" => new ClampGuard(),
        "smooth" => new SmoothGuard(),
        "smooth-narrow" => new SmoothGuard { Epsilon = 0.01 },
        "positive" => new PositiveGuard(),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "No such guard."),
    };

    /// <summary>Standard normal partial denominators [n, d, L] in float64, the same for the same seed.</summary>
    public static Tensor Random(int n, int depth, int ladders, int seed, double scale = 1)
    {
        var random = new Random(seed);
        var values = new double[n * depth * ladders];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = scale * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        }

        return tensor(values, [n, depth, ladders]);
    }

    /// <summary>The gradient of sum(weights * apply(a)) for a, a detached from any graph before.</summary>
    public static Tensor Gradient(Tensor a, Tensor weights, Func<Tensor, Tensor> apply)
    {
        using Tensor leaf = a.detach().requires_grad_(true);
        using Tensor f = apply(leaf);
        using Tensor loss = (f * weights).sum();
        loss.backward();
        return leaf.grad!.alias();
    }

    /// <summary>The largest |x - y| / (|y| + floor).</summary>
    public static double Deviation(Tensor x, Tensor y, double floor = 0)
    {
        using Tensor worst = ((x - y).abs() / (y.abs() + floor)).max();
        return worst.to_type(ScalarType.Float64).item<double>();
    }

    public static bool IsFinite(Tensor x)
    {
        using Tensor all = x.isfinite().all();
        return all.item<bool>();
    }
}
