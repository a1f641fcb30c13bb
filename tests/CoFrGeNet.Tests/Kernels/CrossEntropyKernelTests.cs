using CoFrGeNet.Kernels;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Tests.Kernels;

public sealed unsafe class CrossEntropyKernelTests
{
    // float32 keeps 24 bits; sums of up to 1,000 terms of like size lose a few of them.
    private const double Float32 = 2e-6;

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(1, 7, 1)]
    [InlineData(3, 33, 2)]
    [InlineData(65, 1000, 2)]
    public void Loss_and_gradient_equal_the_definition_in_float64(int rows, int vocabulary, int threads)
    {
        var random = new Random(rows + vocabulary);
        var logits = Enumerable.Range(0, rows * vocabulary).Select(_ => (float)((random.NextDouble() - 0.5) * 40)).ToArray();
        var targets = Enumerable.Range(0, rows).Select(_ => random.NextInt64(vocabulary)).ToArray();
        var losses = new double[rows];
        var gradient = logits.ToArray();
        fixed (float* first = gradient)
        {
            CrossEntropyKernel.Apply(first, vocabulary, targets, losses, 0.25f, threads);
        }

        for (var row = 0; row < rows; row++)
        {
            var values = logits.AsSpan(row * vocabulary, vocabulary).ToArray().Select(x => (double)x).ToArray();
            var max = values.Max();
            var sum = values.Sum(x => Math.Exp(x - max));
            Assert.Equal(Math.Log(sum) + max - values[targets[row]], losses[row], 40 * Float32);
            for (var v = 0; v < vocabulary; v++)
            {
                var expected = 0.25 * ((Math.Exp(values[v] - max) / sum) - (v == targets[row] ? 1 : 0));
                Assert.Equal(expected, gradient[(row * vocabulary) + v], Float32);
            }
        }
    }

    [Fact]
    public void Bfloat16_logits_give_the_loss_of_their_values_and_a_rounded_gradient()
    {
        const int rows = 5, vocabulary = 77;
        var random = new Random(1);
        var bits = new ushort[rows * vocabulary];
        BFloat16Rows.FromSingle([.. Enumerable.Range(0, bits.Length).Select(_ => (float)(random.NextDouble() * 8))], bits);
        var values = new float[bits.Length];
        BFloat16Rows.ToSingle(bits, values);
        long[] targets = [0, 76, 3, 4, 5];
        double[] losses = new double[rows], expected = new double[rows];
        fixed (ushort* first = bits)
        fixed (float* wide = values)
        {
            CrossEntropyKernel.Apply(first, vocabulary, targets, losses, 1, 2);
            CrossEntropyKernel.Apply(wide, vocabulary, targets, expected, 1, 1);
        }

        Assert.Equal(expected, losses);
        var rounded = new ushort[bits.Length];
        BFloat16Rows.FromSingle(values, rounded);
        Assert.Equal(rounded, bits);
    }

    // The rows end at a forbidden page: a read or write behind the last logit ends the test process.
    [Theory]
    [InlineData(1, 33)]
    [InlineData(4, 67)]
    [InlineData(8, 131)]
    [InlineData(16, 1)]
    [InlineData(16, 259)]
    public void Every_width_of_registers_gives_the_same(int width, int vocabulary)
    {
        using GuardedMemory logits = new(4L * 2 * vocabulary, isAtEnd: true), other = new(4L * 2 * vocabulary, isAtEnd: true);
        KernelSamples.Fill(logits.Floats, 4, withHard: false);
        logits.Floats.CopyTo(other.Floats);
        double[] losses = new double[2], expected = new double[2];
        long[] targets = [0, vocabulary - 1];
        CrossEntropyKernel.Run((float*)logits.Pointer, vocabulary, targets, losses, 0.5f, 2, (SimdWidth)width);
        CrossEntropyKernel.Run((float*)other.Pointer, vocabulary, targets, expected, 0.5f, 1, SimdWidth.Scalar);
        for (var i = 0; i < 2; i++)
        {
            Assert.Equal(expected[i], losses[i], Float32);
        }

        for (var i = 0; i < logits.Floats.Length; i++)
        {
            Assert.Equal(other.Floats[i], logits.Floats[i], Float32);
        }
    }

    [Fact]
    public void Logits_are_not_differentiated_when_nobody_asks()
    {
        float[] logits = [1, 2, 3];
        var loss = new double[1];
        fixed (float* first = logits)
        {
            CrossEntropyKernel.Apply(first, 3, [2], loss, null, 1);
        }

        Assert.Equal(Math.Log(1 + Math.Exp(-1) + Math.Exp(-2)), loss[0], 1e-6);
        Assert.Equal([1f, 2, 3], logits);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(3)]
    public void A_target_outside_the_vocabulary_is_refused(long target)
    {
        var logits = new float[3];
        var loss = new double[1];
        var error = Assert.Throws<ArgumentOutOfRangeException>(() =>
        {
            fixed (float* first = logits)
            {
                CrossEntropyKernel.Apply(first, 3, [target], loss, 1, 1);
            }
        });
        Assert.Contains("0 to 2", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_logit_that_is_not_a_number_shows_in_the_loss()
    {
        float[] logits = [1, float.NaN, 3];
        var loss = new double[1];
        fixed (float* first = logits)
        {
            CrossEntropyKernel.Apply(first, 3, [2], loss, 1, 1);
        }

        Assert.True(double.IsNaN(loss[0]));
    }
}
