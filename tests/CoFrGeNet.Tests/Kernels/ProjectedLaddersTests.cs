using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Kernels;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Tests.Kernels;

// Dimensions: N = rows, d = depth, L = number of ladders.

public unsafe class ProjectedLaddersTests
{
    public static TheoryData<string, int> GuardsAndWidths => KernelSamples.GuardsAndWidths;

    // Every buffer ends at a forbidden page, then starts at one: a read or write outside ends the test process.
    [Theory]
    [MemberData(nameof(GuardsAndWidths))]
    public void Every_depth_size_and_layout_agrees_with_the_continuants(string guardName, int width)
    {
        PoleGuard guard = KernelSamples.Guard(guardName);
        foreach (int depth in Enumerable.Range(1, LadderRange.MaxDepth))
        {
            foreach ((int rows, int ladders) in new[] { (1, 1), (3, 7), (2, 15), (1, 17), (2, 33), (9, 16), (1, 0), (0, 3) })
            {
                foreach (bool isLevelOutermost in new[] { false, true })
                {
                    Check(rows, depth, ladders, isLevelOutermost, guard, KernelSamples.Width(width), threads: 1, isAtEnd: ((rows + depth) & 1) == 0);
                }
            }
        }
    }

    [Theory]
    [InlineData(1, 100_003, 5)]
    [InlineData(1003, 35, 3)]
    [InlineData(5, 20_000, 2)]
    public void Many_pieces_on_several_threads_agree_too(int rows, int ladders, int depth)
    {
        Check(rows, depth, ladders, isLevelOutermost: false, PoleGuard.Default, SimdWidths.Best, threads: 3, isAtEnd: true);
        Check(rows, depth, ladders, isLevelOutermost: true, PoleGuard.Paper, SimdWidths.Best, threads: 2, isAtEnd: false);
    }

    [Fact]
    public void Storing_past_the_caches_changes_nothing()
    {
        // 20 MB of gradients: beyond the size from which they are stored past the caches.
        const int rows = 1024, ladders = 1024, depth = 5;
        var layout = new LadderLayout(rows, depth, ladders, depth * ladders, ladders);
        var a = new float[rows * ladders * depth];
        var upstream = new float[rows * ladders];
        KernelSamples.Fill(a, 1, withHard: false);
        KernelSamples.Fill(upstream, 2, withHard: false);
        float* large = (float*)System.Runtime.InteropServices.NativeMemory.AlignedAlloc((nuint)a.Length * sizeof(float), 64);
        var small = new float[depth * ladders];
        try
        {
            fixed (float* source = a, g = upstream, one = small)
            {
                ProjectedLadders.Backward(layout, source, g, large, layout, ElementType.Float32, PoleGuard.Default, 2);
                foreach (int row in new[] { 0, 1, 511, 1023 })
                {
                    LadderLayout single = layout with { Rows = 1 };
                    ProjectedLadders.Backward(single, source + (row * depth * ladders), g + (row * ladders), one, single, ElementType.Float32, PoleGuard.Default, 1);
                    Assert.True(new ReadOnlySpan<float>(large + (row * depth * ladders), small.Length).SequenceEqual(small));
                }
            }
        }
        finally
        {
            System.Runtime.InteropServices.NativeMemory.AlignedFree(large);
        }
    }

    [Theory]
    [MemberData(nameof(GuardsAndWidths))]
    public void Every_finite_and_infinite_input_gives_finite_results(string guardName, int width)
    {
        PoleGuard guard = KernelSamples.Guard(guardName);
        const int ladders = 1000;
        foreach (int depth in Enumerable.Range(1, LadderRange.MaxDepth))
        {
            var layout = new LadderLayout(1, depth, ladders, 0, ladders);
            float[] a = new float[depth * ladders], f = new float[ladders], ones = new float[ladders], gradient = new float[depth * ladders];
            KernelSamples.Fill(a, depth, withHard: true);
            Array.Fill(ones, 1);
            fixed (float* source = a, value = f, upstream = ones, result = gradient)
            {
                ProjectedLadders.Forward(layout, source, value, ElementType.Float32, guard, null, 1, KernelSamples.Width(width));
                ProjectedLadders.Backward(layout, source, upstream, result, layout, ElementType.Float32, guard, 1, KernelSamples.Width(width));
            }

            Assert.All(f, x => Assert.True(float.IsFinite(x), $"d = {depth}: f = {x}"));
            Assert.All(gradient, x => Assert.True(float.IsFinite(x), $"d = {depth}: df/da = {x}"));
        }
    }

    [Theory]
    [MemberData(nameof(GuardsAndWidths))]
    public void Not_a_number_stays_with_its_own_ladder(string guardName, int width)
    {
        PoleGuard guard = KernelSamples.Guard(guardName);
        var layout = new LadderLayout(1, 3, 40, 0, 40);
        float[] a = new float[120], f = new float[40];
        Array.Fill(a, 1);
        a[40 + 21] = float.NaN;
        fixed (float* source = a, value = f)
        {
            ProjectedLadders.Forward(layout, source, value, ElementType.Float32, guard, null, 1, KernelSamples.Width(width));
        }

        Assert.True(float.IsNaN(f[21]));
        Assert.Equal(1, f.Count(float.IsNaN));
    }

    [Theory]
    [MemberData(nameof(GuardsAndWidths))]
    public void Ranges_and_poles_are_noted_on_the_way(string guardName, int width)
    {
        PoleGuard guard = KernelSamples.Guard(guardName);
        const int rows = 29, depth = 2, ladders = 37;
        var layout = new LadderLayout(rows, depth, ladders, depth * ladders, ladders);
        float[] a = new float[rows * depth * ladders], f = new float[rows * ladders], clipped = new float[rows * ladders];
        float[] low = [.. Enumerable.Repeat(float.PositiveInfinity, ladders)], high = [.. Enumerable.Repeat(float.NegativeInfinity, ladders)];
        KernelSamples.Fill(a, 5, withHard: false);
        fixed (float* source = a, value = f, lowest = low, highest = high, bounded = clipped)
        {
            var widening = new LadderTracking { RangeUse = RangeUse.Widen, Low = lowest, High = highest, CountsPoles = true };
            ProjectedLadders.Forward(layout, source, value, ElementType.Float32, guard, widening, 2, KernelSamples.Width(width));
            for (int j = 0; j < ladders; j++)
            {
                float[] column = [.. Enumerable.Range(0, rows).Select(row => f[(row * ladders) + j])];
                Assert.Equal((column.Min(), column.Max()), (low[j], high[j]));
            }

            Assert.Equal(f.Max(MathF.Abs), widening.MaxOutput);
            float epsilon = LadderConstants.Of(depth, guard).Epsilon, start = LadderConstants.Of(depth, guard).Start;
            double[] lasts = [.. Enumerable.Range(0, f.Length).Select(i => Math.Abs(LastContinuant(a, i / ladders, i % ladders, guard)))];
            Assert.Equal(lasts.Count(last => last * start < epsilon), widening.Guarded);

            // One float32 rounding of a product near 1 is lost in the difference.
            Assert.Equal(lasts.Min(), widening.MinDenominator / start, 2e-7);

            // Half the range, and one ladder of which nothing is known.
            for (int j = 0; j < ladders; j++)
            {
                (low[j], high[j]) = j == 3 ? (float.PositiveInfinity, float.NegativeInfinity) : (low[j] / 2, high[j] / 2);
            }

            var clipping = new LadderTracking { RangeUse = RangeUse.Clip, Low = lowest, High = highest };
            ProjectedLadders.Forward(layout, source, bounded, ElementType.Float32, guard, clipping, 2, KernelSamples.Width(width));
        }

        for (int i = 0; i < f.Length; i++)
        {
            int j = i % ladders;
            Assert.Equal(j == 3 ? f[i] : MathF.Max(low[j], MathF.Min(high[j], f[i])), clipped[i]);
        }
    }

    [Theory]
    [MemberData(nameof(GuardsAndWidths))]
    public void Bfloat16_is_rounded_once_at_the_edges(string guardName, int width)
    {
        PoleGuard guard = KernelSamples.Guard(guardName);
        const int rows = 3, depth = 4, ladders = 37;
        var layout = new LadderLayout(rows, depth, ladders, depth * ladders, ladders);
        float[] a = new float[rows * depth * ladders], f = new float[rows * ladders], g = new float[rows * ladders], gradient = new float[a.Length];
        ushort[] shortA = new ushort[a.Length], shortF = new ushort[f.Length], shortG = new ushort[f.Length], shortGradient = new ushort[a.Length];
        KernelSamples.Fill(a, 8, withHard: false);
        KernelSamples.Fill(g, 9, withHard: false);
        Round(a, shortA);
        Round(g, shortG);
        fixed (float* source = a, value = f, upstream = g, result = gradient)
        {
            ProjectedLadders.Forward(layout, source, value, ElementType.Float32, guard, null, 1, KernelSamples.Width(width));
            ProjectedLadders.Backward(layout, source, upstream, result, layout, ElementType.Float32, guard, 1, KernelSamples.Width(width));
        }

        fixed (ushort* source = shortA, value = shortF, upstream = shortG, result = shortGradient)
        {
            ProjectedLadders.Forward(layout, source, value, ElementType.BFloat16, guard, null, 1, KernelSamples.Width(width));
            ProjectedLadders.Backward(layout, source, upstream, result, layout, ElementType.BFloat16, guard, 1, KernelSamples.Width(width));
        }

        Round(f, null);
        Round(gradient, null);
        Assert.Equal(f, shortF.Select(Widened));
        Assert.Equal(gradient, shortGradient.Select(Widened));
    }

    private static void Check(int rows, int depth, int ladders, bool isLevelOutermost, PoleGuard guard, SimdWidth width, int threads, bool isAtEnd)
    {
        using var data = new ProjectedSample(rows, depth, ladders, isLevelOutermost, isAtEnd);
        LadderLayout layout = data.Layout;
        ProjectedLadders.Forward(layout, data.A.Pointer, data.F.Pointer, ElementType.Float32, guard, null, threads, width);
        ProjectedLadders.Backward(layout, data.A.Pointer, data.GradF.Pointer, data.GradA.Pointer, layout, ElementType.Float32, guard, threads, width);
        data.Require(guard);
    }

    // |K_2| in float64, after the guard's change of the partial denominators.
    private static double LastContinuant(float[] a, int row, int j, PoleGuard guard)
    {
        double Denominator(int k)
        {
            double x = a[(row * 74) + (k * 37) + j];
            return guard is PositiveGuard ? Math.Log(1 + Math.Exp(x)) + guard.Epsilon : x;
        }

        return (Denominator(0) * Denominator(1)) + 1;
    }

    private static float Widened(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    // To nearest even, in place; the bits go to the second span where there is one.
    private static void Round(float[] values, ushort[]? bits)
    {
        for (int i = 0; i < values.Length; i++)
        {
            uint raw = BitConverter.SingleToUInt32Bits(values[i]);
            ushort rounded = (ushort)((raw + 0x7FFF + ((raw >> 16) & 1)) >> 16);
            values[i] = Widened(rounded);
            if (bits is not null)
            {
                bits[i] = rounded;
            }
        }
    }
}
