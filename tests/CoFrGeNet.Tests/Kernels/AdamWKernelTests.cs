using CoFrGeNet.Kernels;

namespace CoFrGeNet.Tests.Kernels;

public sealed unsafe class AdamWKernelTests
{
    [Theory]
    [InlineData(1, 1, false)]
    [InlineData(31, 1, true)]
    [InlineData(100_003, 2, false)]
    [InlineData(100_003, 2, true)]
    public void Updates_equal_the_definition_in_float64(int count, int threads, bool clears)
    {
        var random = new Random(count);
        float[] Draw() => [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() - 0.5))];
        float[] parameter = Draw(), mean = new float[count], square = new float[count];
        double[] p = [.. parameter.Select(x => (double)x)], m = new double[count], v = new double[count];
        for (var k = 1; k <= 3; k++)
        {
            float[] gradient = Draw(), read = [.. gradient];
            fixed (float* a = parameter, b = gradient, c = mean, d = square)
            {
                AdamWKernel.Apply(a, b, c, d, count, new AdamWStep(0.01, 0.9, 0.95, 1e-8, 0.1, k) { ClearsGradient = clears }, threads);
            }

            Assert.Equal(clears ? new float[count] : read, gradient);

            for (var i = 0; i < count; i++)
            {
                m[i] = (0.9 * m[i]) + (0.1 * read[i]);
                v[i] = (0.95 * v[i]) + (0.05 * read[i] * read[i]);
                p[i] = (p[i] * (1 - (0.01 * 0.1))) - (0.01 * (m[i] / (1 - Math.Pow(0.9, k))) / (Math.Sqrt(v[i] / (1 - Math.Pow(0.95, k))) + 1e-8));
            }
        }

        for (var i = 0; i < count; i++)
        {
            // Three steps of about 0.01, each within a few float32 roundings of numbers below 1.
            Assert.Equal(p[i], parameter[i], 5e-7);
        }
    }

    [Fact]
    public void Elements_behind_the_last_stay_untouched()
    {
        float[] parameter = [1, 1, 7], gradient = [1, 1, 7], mean = [0, 0, 7], square = [0, 0, 7];
        fixed (float* a = parameter, b = gradient, c = mean, d = square)
        {
            AdamWKernel.Apply(a, b, c, d, 2, new AdamWStep(0.1, 0.9, 0.95, 1e-8, 0, 1) { ClearsGradient = true }, 2);
        }

        Assert.Equal((7f, 7f, 7f, 7f), (parameter[2], gradient[2], mean[2], square[2]));
        Assert.Equal(0.9f, parameter[0], 1e-6f);
    }
}
