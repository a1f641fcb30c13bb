using CoFrGeNet.Kernels;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Tests.Kernels;

public sealed unsafe class AccumulateKernelTests
{
    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(4, 5, 1)]
    [InlineData(8, 37, 1)]
    [InlineData(16, 37, 1)]
    [InlineData(16, 100_003, 2)]
    public void Sums_are_those_of_float32_and_what_lies_behind_stays(int lanes, int count, int threads)
    {
        var width = (SimdWidth)lanes;
        Assert.SkipUnless(SimdWidths.Best >= width, $"this processor has no registers of {lanes} floats; one that has them runs it");
        var random = new Random(count);
        var sum = Enumerable.Range(0, count + 1).Select(_ => (float)(random.NextDouble() - 0.5)).ToArray();
        var x = Enumerable.Range(0, count + 1).Select(_ => (ushort)(BitConverter.SingleToUInt32Bits((float)(random.NextDouble() - 0.5)) >> 16)).ToArray();
        var expected = sum.Zip(x, (one, other) => one + BitConverter.UInt32BitsToSingle((uint)other << 16)).ToArray();
        expected[count] = sum[count];
        fixed (float* a = sum)
        fixed (ushort* b = x)
        {
            AccumulateKernel.Add(b, a, count, threads, width);
        }

        Assert.Equal(expected, sum);
    }
}
