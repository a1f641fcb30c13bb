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

    /// <summary>Output, gradients and buffers, on the CPU, of one forward and backward pass of a feed-forward whose weights and input are given by formulas.</summary>
    /// <param name="config">The feed-forward.</param>
    /// <param name="device">Where it runs.</param>
    /// <param name="between">What happens between the two; afterwards comes another forward pass, whose output it is.</param>
    public static Dictionary<string, Tensor> Step(CffnConfig config, Device device, Action? between = null)
    {
        const int width = 33;
        using var cffn = new Cffn(width, config, new ModuleOptions { Device = device });
        FormulaWeights.Fill(cffn, 0.4);
        Tensor x = FormulaWeights.Input(4, 9, width).to(device).detach().requires_grad_(true);
        Tensor y = cffn.forward(x);
        between?.Invoke();
        (y * FormulaWeights.Input(4, 9, width).to(device)).sum().backward();
        using (no_grad())
        {
            y = cffn.forward(x);
        }

        var results = new Dictionary<string, Tensor> { ["y"] = y.cpu(), ["dx"] = x.grad!.cpu() };
        foreach ((string name, Tensor value) in cffn.named_parameters())
        {
            results["d " + name] = value.grad!.cpu().clone();
        }

        foreach ((string name, Tensor value) in cffn.named_buffers())
        {
            results[name] = value.cpu().clone();
        }

        return results;
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
