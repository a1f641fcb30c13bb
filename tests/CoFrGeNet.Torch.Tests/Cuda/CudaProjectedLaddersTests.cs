using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Kernels;
using CoFrGeNet.Tests.Kernels;
using CoFrGeNet.Torch.Cuda;

namespace CoFrGeNet.Torch.Tests.Cuda;

// Dimensions: N = rows, d = depth, L = number of ladders.

/// <summary>The kernels of projected.cu, compiled by g++ and run thread by thread, against float64.</summary>
public sealed unsafe class CudaProjectedLaddersTests
{
    private const nint Stream = 0x77;

    private static readonly CompiledKernels<CudaProjectedLadders> Compiled = new((driver, compiler, variant) => new CudaProjectedLadders(driver, compiler, variant));

    // Guards and depths 1 to 8 and 16.
    public static TheoryData<string, int> GuardsAndDepths
    {
        get
        {
            var data = new TheoryData<string, int>();
            foreach (string guard in new[] { "clamp", "smooth", "smooth-narrow", "positive" })
            {
                foreach (int depth in new[] { 1, 2, 3, 4, 5, 6, 7, 8, LadderRange.MaxDepth })
                {
                    data.Add(guard, depth);
                }
            }

            return data;
        }
    }

    // Every buffer ends at a forbidden page, then starts at one: a read or write outside ends the test process.
    [Theory]
    [MemberData(nameof(GuardsAndDepths))]
    public void Every_size_and_layout_agrees_with_the_continuants(string guardName, int depth)
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        PoleGuard guard = KernelSamples.Guard(guardName);
        CudaProjectedLadders kernels = Compiled.Get(cuda, depth, guard, ElementType.Float32);

        // One thread, one block in part, several blocks across, several pieces of rows down.
        foreach ((int rows, int ladders) in new[] { (1, 1), (3, 7), (2, 33), (1, 300), (37, 5), (70, 35) })
        {
            foreach (bool isLevelOutermost in new[] { false, true })
            {
                using var data = new ProjectedSample(rows, depth, ladders, isLevelOutermost, isAtEnd: ((rows + depth) & 1) == 0);
                kernels.Forward(data.Layout, data.A.Pointer, data.F.Pointer, guard, default, Stream);
                kernels.Backward(data.Layout, data.A.Pointer, data.GradF.Pointer, data.GradA.Pointer, data.Layout, guard, Stream);
                data.Require(guard);
            }
        }

        Assert.Equal(Stream, cuda.Stream);
        Assert.Equal(0, cuda.Contexts);
    }

    [Theory]
    [MemberData(nameof(GuardsAndDepths))]
    public void Every_finite_and_infinite_input_gives_finite_results(string guardName, int depth)
    {
        PoleGuard guard = KernelSamples.Guard(guardName);
        CudaProjectedLadders kernels = Compiled.Get(EmulatedCuda.OrSkip(), depth, guard, ElementType.Float32);
        const int ladders = 1000;
        var layout = new LadderLayout(1, depth, ladders, 0, ladders);
        float[] a = new float[depth * ladders], f = new float[ladders], ones = new float[ladders], gradient = new float[depth * ladders];
        KernelSamples.Fill(a, depth, withHard: true);
        Array.Fill(ones, 1);
        a[^1] = float.NaN;
        fixed (float* source = a, value = f, upstream = ones, result = gradient)
        {
            kernels.Forward(layout, source, value, guard, default, Stream);
            kernels.Backward(layout, source, upstream, result, layout, guard, Stream);
        }

        Assert.True(float.IsNaN(f[^1]));
        Assert.All(f.SkipLast(1), x => Assert.True(float.IsFinite(x), $"f = {x}"));
        Assert.All(gradient.Where((_, i) => i % ladders != ladders - 1), x => Assert.True(float.IsFinite(x), $"df/da = {x}"));
    }

    // Sums of neither operand's rounding differ between the two: what they share is the formulas, so they are equal bit by bit but for exp and log.
    [Theory]
    [InlineData("clamp")]
    [InlineData("smooth")]
    public void Results_are_those_of_the_scalar_cpu_kernels_bit_by_bit(string guardName)
    {
        PoleGuard guard = KernelSamples.Guard(guardName);
        const int rows = 9, depth = 5, ladders = 50;
        var layout = new LadderLayout(rows, depth, ladders, depth * ladders, ladders);
        CudaProjectedLadders kernels = Compiled.Get(EmulatedCuda.OrSkip(), depth, guard, ElementType.Float32);
        float[] a = new float[rows * depth * ladders], upstream = new float[rows * ladders];
        KernelSamples.Fill(a, 1, withHard: true);
        KernelSamples.Fill(upstream, 2, withHard: false);
        float[] f = new float[upstream.Length], expected = new float[f.Length], gradient = new float[a.Length], expectedGradient = new float[a.Length];
        fixed (float* source = a, g = upstream, value = f, other = expected, result = gradient, otherResult = expectedGradient)
        {
            kernels.Forward(layout, source, value, guard, default, Stream);
            kernels.Backward(layout, source, g, result, layout, guard, Stream);
            ProjectedLadders.Forward(layout, source, other, ElementType.Float32, guard, null, 1, Simd.SimdWidth.Scalar);
            ProjectedLadders.Backward(layout, source, g, otherResult, layout, ElementType.Float32, guard, 1, Simd.SimdWidth.Scalar);
        }

        Assert.Equal(expected, f);
        Assert.Equal(expectedGradient, gradient);
    }

    [Theory]
    [InlineData("clamp")]
    [InlineData("smooth-narrow")]
    [InlineData("positive")]
    public void Bfloat16_is_rounded_once_at_the_edges(string guardName)
    {
        EmulatedCuda cuda = EmulatedCuda.OrSkip();
        PoleGuard guard = KernelSamples.Guard(guardName);
        const int rows = 3, depth = 4, ladders = 37;
        var layout = new LadderLayout(rows, depth, ladders, depth * ladders, ladders);
        float[] a = new float[rows * depth * ladders], g = new float[rows * ladders], f = new float[g.Length], gradient = new float[a.Length];
        ushort[] shortA = new ushort[a.Length], shortG = new ushort[g.Length], shortF = new ushort[g.Length], shortGradient = new ushort[a.Length];
        KernelSamples.Fill(a, 8, withHard: false);
        KernelSamples.Fill(g, 9, withHard: false);
        BFloat16Rows.FromSingle(a, shortA);
        BFloat16Rows.ToSingle(shortA, a);
        BFloat16Rows.FromSingle(g, shortG);
        BFloat16Rows.ToSingle(shortG, g);
        a[5] = float.NaN;
        shortA[5] = 0x7FFF;
        fixed (float* source = a, value = f, upstream = g, result = gradient)
        {
            CudaProjectedLadders wide = Compiled.Get(cuda, depth, guard, ElementType.Float32);
            wide.Forward(layout, source, value, guard, default, Stream);
            wide.Backward(layout, source, upstream, result, layout, guard, Stream);
        }

        fixed (ushort* source = shortA, value = shortF, upstream = shortG, result = shortGradient)
        {
            CudaProjectedLadders narrow = Compiled.Get(cuda, depth, guard, ElementType.BFloat16);
            narrow.Forward(layout, source, value, guard, default, Stream);
            narrow.Backward(layout, source, upstream, result, layout, guard, Stream);
        }

        // Which bits a NaN has is nobody's business.
        Assert.Equal(Rounded(f), shortF.Select(Canonical));
        Assert.Equal(Rounded(gradient), shortGradient.Select(Canonical));
        Assert.Equal(0x7FC0, Canonical(shortF[5]));
    }

    [Theory]
    [InlineData("clamp")]
    [InlineData("smooth")]
    [InlineData("positive")]
    public void Ranges_and_poles_are_noted_on_the_way(string guardName)
    {
        PoleGuard guard = KernelSamples.Guard(guardName);
        const int rows = 290, depth = 2, ladders = 37;
        var layout = new LadderLayout(rows, depth, ladders, depth * ladders, ladders);
        CudaProjectedLadders kernels = Compiled.Get(EmulatedCuda.OrSkip(), depth, guard, ElementType.Float32);
        float[] a = new float[rows * depth * ladders], f = new float[rows * ladders], plain = new float[f.Length], expected = new float[f.Length];
        float[] low = [.. Enumerable.Repeat(float.PositiveInfinity, ladders)], high = [.. Enumerable.Repeat(float.NegativeInfinity, ladders)];
        var guarded = new ulong[CudaTracking.CountCells];
        float minDenominator = float.PositiveInfinity, maxOutput = 0;
        KernelSamples.Fill(a, 5, withHard: false);
        var seen = new LadderTracking { CountsPoles = true };
        fixed (float* source = a, value = f, lowest = low, highest = high, other = plain, reference = expected)
        fixed (ulong* counts = guarded)
        {
            var tracking = new CudaTracking
            {
                RangeUse = (long)RangeUse.Widen,
                Low = lowest,
                High = highest,
                Guarded = counts,
                MinDenominator = &minDenominator,
                MaxOutput = &maxOutput,
            };
            kernels.Forward(layout, source, other, guard, default, Stream);
            kernels.Forward(layout, source, value, guard, tracking, Stream);
            ProjectedLadders.Forward(layout, source, reference, ElementType.Float32, guard, seen, 1, Simd.SimdWidth.Scalar);
            Assert.Equal(plain, f);
            for (int j = 0; j < ladders; j++)
            {
                float[] column = [.. Enumerable.Range(0, rows).Select(row => f[(row * ladders) + j])];
                Assert.Equal((column.Min(), column.Max()), (low[j], high[j]));

                // Half the range, and one ladder of which nothing is known.
                (low[j], high[j]) = j == 3 ? (float.PositiveInfinity, float.NegativeInfinity) : (low[j] / 2, high[j] / 2);
            }

            Assert.Equal(f.Max(MathF.Abs), maxOutput);
            Assert.Equal(seen.Guarded, guarded.Sum(count => (long)count));
            Assert.True(guard is PositiveGuard || seen.Guarded > 0, "nothing is guarded, so nothing is tested");

            // exp and log may differ by their last bits.
            Assert.Equal(seen.MinDenominator / LadderConstants.Of(depth, guard).Start, minDenominator, guard is PositiveGuard ? 1e-6f : 0);

            kernels.Forward(layout, source, value, guard, new CudaTracking { RangeUse = (long)RangeUse.Clip, Low = lowest, High = highest }, Stream);
            for (int i = 0; i < f.Length; i++)
            {
                int j = i % ladders;
                Assert.Equal(j == 3 ? plain[i] : MathF.Max(low[j], MathF.Min(high[j], plain[i])), f[i]);
            }

            // A NaN widens nothing and shows in the statistics.
            float[] before = [.. low, .. high];
            a[ladders] = float.NaN;
            kernels.Forward(layout with { Rows = 1 }, source, value, guard, tracking with { RangeUse = (long)RangeUse.Widen }, Stream);
            Assert.True(float.IsNaN(minDenominator) && float.IsNaN(maxOutput));
            Assert.DoesNotContain(float.NaN, low.Concat(high));
            Assert.Equal((before[0], before[ladders]), (low[0], high[0]));
        }
    }

    private static ushort Canonical(ushort bits) => (bits & 0x7FFF) > 0x7F80 ? (ushort)0x7FC0 : bits;

    private static IEnumerable<ushort> Rounded(float[] values)
    {
        var bits = new ushort[values.Length];
        BFloat16Rows.FromSingle(values, bits);
        return bits.Select(Canonical);
    }
}
