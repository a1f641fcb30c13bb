using CoFrGeNet.Configuration;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Tests.Kernels;

internal static class KernelSamples
{
    /// <summary>Theory data: guards by name times register widths.</summary>
    public static TheoryData<string, int> GuardsAndWidths
    {
        get
        {
            var data = new TheoryData<string, int>();
            foreach (string guard in new[] { "clamp", "smooth", "smooth-narrow", "positive" })
            {
                foreach (int width in new[] { 1, 4, 8, 16 })
                {
                    data.Add(guard, width);
                }
            }

            return data;
        }
    }

    public static PoleGuard Guard(string name) => name switch
    {
        "clamp" => new ClampGuard(),
        "smooth" => new SmoothGuard(),
        "smooth-narrow" => new SmoothGuard { Epsilon = 0.01 },
        "positive" => new PositiveGuard(),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "No such guard."),
    };

    public static SimdWidth Width(int lanes) => (SimdWidth)lanes;

    /// <summary>Normal numbers with, now and then, one that is hard: zeros of both signs, denormal, huge, infinite.</summary>
    public static void Fill(Span<float> values, int seed, bool withHard)
    {
        float[] hard = [0, -0f, float.Epsilon, -1e-20f, 0.01f, 1e5f, -1e10f, 1e30f, float.MaxValue, float.PositiveInfinity, float.NegativeInfinity];
        var random = new Random(seed);
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = withHard && random.Next(4) == 0
                ? hard[random.Next(hard.Length)]
                : (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
        }
    }
}
