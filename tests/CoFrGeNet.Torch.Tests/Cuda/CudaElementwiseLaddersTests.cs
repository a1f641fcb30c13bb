using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;
using CoFrGeNet.Tests.Kernels;
using CoFrGeNet.Torch.Cuda;

namespace CoFrGeNet.Torch.Tests.Cuda;

// Dimensions: N = rows, p = width, d = depth, L = number of ladders.

/// <summary>The kernels of elementwise.cu, compiled by g++ and run thread by thread, against float64.</summary>
public sealed unsafe class CudaElementwiseLaddersTests
{
    private static readonly CompiledKernels<CudaElementwiseLadders> Compiled = new((driver, compiler, variant) => new CudaElementwiseLadders(driver, compiler, variant));

    public static TheoryData<string, int> GuardsAndDepths => CudaProjectedLaddersTests.GuardsAndDepths;

    // Every buffer ends at a forbidden page, then starts at one: a read or write outside ends the test process.
    [Theory]
    [MemberData(nameof(GuardsAndDepths))]
    public void Every_size_agrees_with_the_continuants(string guardName, int depth)
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        PoleGuard guard = KernelSamples.Guard(guardName);
        CudaElementwiseLadders kernels = Compiled.Get(cuda, depth, guard, ElementType.Float32);

        // Fewer rows than a thread takes, several pieces of them with a last one in part, several blocks across.
        foreach ((int rows, int columns, int ladders) in new[] { (1, 1, 1), (3, 7, 2), (37, 17, 1), (9, 131, 2) })
        {
            using var data = new ElementwiseSample(new ElementwiseSize(rows, columns, depth, ladders), hasBias: ((rows + depth) & 1) == 0, isAtEnd: (depth & 1) == 0);
            Run(kernels, data, guard);
            data.Require(guard);
        }

        Assert.Equal(0, cuda.Contexts);
    }

    // More rows than there are pieces of the smallest size, so that a piece takes several turns and adds to its part.
    [Fact]
    public void Many_rows_agree_too_and_are_the_same_again()
    {
        CudaElementwiseLadders kernels = Compiled.Get(EmulatedCuda.OrSkip(), 3, PoleGuard.Default, ElementType.Float32);
        var size = new ElementwiseSize(4300, 3, 3, 2);
        using ElementwiseSample data = new(size, hasBias: true, isAtEnd: true), again = new(size, hasBias: true, isAtEnd: false);
        Run(kernels, data, PoleGuard.Default);
        Run(kernels, again, PoleGuard.Default);
        Assert.Equal(data.GradLevels.Floats.ToArray(), again.GradLevels.Floats.ToArray());
        Assert.Equal(data.GradCombine.Floats.ToArray(), again.GradCombine.Floats.ToArray());

        // The CPU's kernels are checked against float64 with up to 40 rows, whose rounding the tolerance of the sums is made for.
        using var expected = new ElementwiseSample(size, hasBias: true, isAtEnd: true);
        ElementwiseLadders.Backward(
            size, expected.G.Pointer, ElementType.Float32, expected.Weights, (float*)expected.GradY.Pointer, expected.GradG.Pointer, expected.Gradients, PoleGuard.Default, 1);
        foreach ((GuardedMemory one, GuardedMemory other) in new[]
        {
            (expected.GradLevels, data.GradLevels), (expected.GradBiases, data.GradBiases), (expected.GradCombine, data.GradCombine), (expected.GradG, data.GradG),
        })
        {
            for (int i = 0; i < one.Floats.Length; i++)
            {
                // Sums of 4300 terms of about 1 in another order: the root of 4300 roundings of 6e-8, of a sum of up to 100 or of what it is.
                Assert.Equal(one.Floats[i], other.Floats[i], Math.Max(4e-4, 4e-6 * Math.Abs(one.Floats[i])));
            }
        }
    }

    [Theory]
    [InlineData("clamp")]
    [InlineData("smooth")]
    [InlineData("positive")]
    public void Bfloat16_is_widened_and_its_gradient_rounded(string guardName)
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        PoleGuard guard = KernelSamples.Guard(guardName);
        using var data = new ElementwiseSample(new ElementwiseSize(19, 33, 3, 2), hasBias: false, isAtEnd: true);
        var bits = new ushort[data.G.Floats.Length];
        BFloat16Rows.FromSingle(data.G.Floats, bits);
        BFloat16Rows.ToSingle(bits, data.G.Floats);
        Run(Compiled.Get(cuda, 3, guard, ElementType.Float32), data, guard);
        var y = new float[data.Y.Floats.Length];
        ushort[] gradG = new ushort[bits.Length], expected = new ushort[bits.Length];
        float[] parts = new float[CudaElementwiseLadders.PartElements(data.Size, hasBiases: false)], weights = data.GradLevels.Floats.ToArray();
        fixed (ushort* g = bits, result = gradG)
        fixed (float* value = y, part = parts)
        {
            CudaElementwiseLadders kernels = Compiled.Get(cuda, 3, guard, ElementType.BFloat16);
            kernels.Forward(data.Size, g, data.Weights, value, guard, default, 0);
            kernels.Backward(data.Size, g, data.Weights, (float*)data.GradY.Pointer, result, data.Gradients, part, guard, 0);
        }

        BFloat16Rows.FromSingle(data.GradG.Floats, expected);
        Assert.Equal(data.Y.Floats.ToArray(), y);
        Assert.Equal(expected, gradG);
        Assert.Equal(weights, data.GradLevels.Floats.ToArray());
    }

    [Theory]
    [InlineData("clamp")]
    [InlineData("smooth")]
    [InlineData("positive")]
    public void Ranges_and_poles_are_those_of_the_cpu_kernels(string guardName)
    {
        PoleGuard guard = KernelSamples.Guard(guardName);
        var size = new ElementwiseSize(50, 21, 3, 2);
        using ElementwiseSample data = new(size, hasBias: false, isAtEnd: true), expected = new(size, hasBias: false, isAtEnd: true);
        CudaElementwiseLadders kernels = Compiled.Get(EmulatedCuda.OrSkip(), 3, guard, ElementType.Float32);
        float[] low = [.. Enumerable.Repeat(float.PositiveInfinity, 42)], high = [.. Enumerable.Repeat(float.NegativeInfinity, 42)];
        float[] expectedLow = [.. low], expectedHigh = [.. high];
        var guarded = new ulong[CudaTracking.CountCells];
        float minDenominator = float.PositiveInfinity, maxOutput = 0;
        fixed (float* lowest = low, highest = high, otherLowest = expectedLow, otherHighest = expectedHigh)
        fixed (ulong* counts = guarded)
        {
            var seen = new LadderTracking { RangeUse = RangeUse.Widen, Low = otherLowest, High = otherHighest, GroupSize = 21, CountsPoles = true };
            ElementwiseLadders.Forward(size, expected.G.Pointer, ElementType.Float32, expected.Weights, (float*)expected.Y.Pointer, guard, seen, 1);
            var tracking = new CudaTracking
            {
                RangeUse = (long)RangeUse.Widen,
                Low = lowest,
                High = highest,
                Guarded = counts,
                MinDenominator = &minDenominator,
                MaxOutput = &maxOutput,
            };
            kernels.Forward(size, data.G.Pointer, data.Weights, (float*)data.Y.Pointer, guard, tracking, 0);
            Near(expected.Y.Floats, data.Y.Floats);
            Near(expectedLow, low);
            Near(expectedHigh, high);
            Assert.Equal(seen.Guarded, guarded.Sum(count => (long)count));
            Assert.Equal(seen.MinDenominator / LadderConstants.Of(3, guard).Start, minDenominator, 1e-6f);
            Assert.Equal(seen.MaxOutput, maxOutput, 1e-5f * seen.MaxOutput);

            // Half of what was seen, the same on both sides.
            for (int j = 0; j < 42; j++)
            {
                (low[j], high[j]) = (expectedLow[j], expectedHigh[j]) = (expectedLow[j] / 2, expectedHigh[j] / 2);
            }

            var clipping = new LadderTracking { RangeUse = RangeUse.Clip, Low = otherLowest, High = otherHighest, GroupSize = 21 };
            ElementwiseLadders.Forward(size, expected.G.Pointer, ElementType.Float32, expected.Weights, (float*)expected.Y.Pointer, guard, clipping, 1);
            kernels.Forward(
                size, data.G.Pointer, data.Weights, (float*)data.Y.Pointer, guard, new CudaTracking { RangeUse = (long)RangeUse.Clip, Low = lowest, High = highest }, 0);
            Near(expected.Y.Floats, data.Y.Floats);
        }
    }

    // Both float32, of the same formulas; next to a pole the last bits of a product grow to 1e-4 of f.
    private static void Near(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], 1e-4 * (1 + Math.Abs(expected[i])));
        }
    }

    private static void Run(CudaElementwiseLadders kernels, ElementwiseSample data, PoleGuard guard)
    {
        using var parts = new GuardedMemory(CudaElementwiseLadders.PartElements(data.Size, data.HasBias) * sizeof(float), isAtEnd: true);
        parts.Floats.Fill(float.NaN);
        kernels.Forward(data.Size, data.G.Pointer, data.Weights, (float*)data.Y.Pointer, guard, default, 0);
        kernels.Backward(
            data.Size, data.G.Pointer, data.Weights, (float*)data.GradY.Pointer, data.GradG.Pointer, data.Gradients, (float*)parts.Pointer, guard, 0);
    }
}
