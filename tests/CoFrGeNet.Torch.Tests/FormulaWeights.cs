using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests;

/// <summary>Weights and inputs by formula: the same on every machine, and not drawn from a generator that other tests share.</summary>
internal static class FormulaWeights
{
    /// <summary>Overwrites every parameter: sines of incommensurable steps, one phase a parameter; norms around 1.</summary>
    public static void Fill(nn.Module module, double scale = 0.3)
    {
        using var quiet = no_grad();
        foreach (var (name, parameter) in module.named_parameters())
        {
            using var scope = NewDisposeScope();
            var center = name.EndsWith("norm.weight", StringComparison.Ordinal) ? 1 : 0;
            parameter.copy_(tensor(Values(parameter.numel(), Phase(name), scale, center), parameter.shape));
        }
    }

    /// <summary>A float32 tensor of the kind, for inputs.</summary>
    public static Tensor Input(params long[] shape)
    {
        using var scope = NewDisposeScope();
        return tensor(Values(shape.Aggregate(1L, (a, b) => a * b), 0.7, 1, 0), shape).MoveToOuterDisposeScope();
    }

    /// <summary>Token ids, int64.</summary>
    public static Tensor Tokens(int vocabulary, int phase, params long[] shape)
    {
        var count = shape.Aggregate(1L, (a, b) => a * b);
        return tensor(Enumerable.Range(0, (int)count).Select(i => (long)((((i * i * 7) + (3 * i) + phase) % 101) % vocabulary)).ToArray(), shape);
    }

    private static float[] Values(long count, double phase, double scale, double center)
    {
        var values = new float[count];
        for (var i = 0; i < count; i++)
        {
            values[i] = (float)(center + (scale * Math.Sin((1.7 * i) + (0.013 * i * i) + phase)));
        }

        return values;
    }

    private static double Phase(string name) => name.Aggregate(0, (sum, letter) => ((sum * 31) + letter) % 1009) / 100.0;
}
