using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Kernels;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Tests.Kernels;

// Dimensions: N = rows, p = width, d = depth, L = number of ladders.

public unsafe class ElementwiseLaddersTests
{
    public static TheoryData<string, int> GuardsAndWidths => KernelSamples.GuardsAndWidths;

    [Theory]
    [MemberData(nameof(GuardsAndWidths))]
    public void Every_depth_and_size_agrees_with_the_continuants(string guardName, int width)
    {
        PoleGuard guard = KernelSamples.Guard(guardName);
        foreach (int depth in Enumerable.Range(1, LadderRange.MaxDepth))
        {
            foreach ((int rows, int columns, int ladders) in new[] { (1, 1, 1), (3, 7, 2), (33, 17, 1), (2, 65, 3) })
            {
                Check(new ElementwiseSize(rows, columns, depth, ladders), guard, KernelSamples.Width(width), hasBias: ((rows + depth) & 1) == 0, inputScale: 1);
            }
        }
    }

    // Inputs from which the path that bounds nothing must stay away.
    [Theory]
    [InlineData("clamp")]
    [InlineData("smooth")]
    public void Large_inputs_are_bounded(string guardName)
    {
        foreach (int depth in new[] { 1, 3, 5, 8 })
        {
            foreach (float scale in new[] { 30, 1e4f, 1e9f })
            {
                Check(new ElementwiseSize(40, 19, depth, 2), KernelSamples.Guard(guardName), SimdWidths.Best, hasBias: false, scale);
            }
        }
    }

    [Theory]
    [MemberData(nameof(GuardsAndWidths))]
    public void Every_finite_and_infinite_input_gives_finite_sums(string guardName, int width)
    {
        foreach (int depth in new[] { 1, 2, 5, 9 })
        {
            using var data = new ElementwiseSample(new ElementwiseSize(70, 21, depth, 2), hasBias: false, isAtEnd: true);
            KernelSamples.Fill(data.G.Floats, depth, withHard: true);
            Forward(data, KernelSamples.Guard(guardName), null, 1, KernelSamples.Width(width));
            Assert.All(data.Y.Floats.ToArray(), y => Assert.True(float.IsFinite(y)));
        }
    }

    [Fact]
    public void Results_do_not_depend_on_the_number_of_threads()
    {
        var size = new ElementwiseSize(3000, 35, 5, 3);
        float[]? expected = null;
        foreach (int threads in new[] { 1, 2, 3, 7 })
        {
            using var data = new ElementwiseSample(size, hasBias: false, isAtEnd: false);
            Forward(data, PoleGuard.Default, null, threads, SimdWidths.Best);
            Backward(data, PoleGuard.Default, threads, SimdWidths.Best);
            float[] all = [.. data.Y.Floats, .. data.GradG.Floats, .. data.GradLevels.Floats, .. data.GradCombine.Floats];
            expected ??= all;
            Assert.True(expected.AsSpan().SequenceEqual(all), $"{threads} threads");
        }
    }

    [Theory]
    [MemberData(nameof(GuardsAndWidths))]
    public void Ranges_and_poles_are_noted_on_the_way(string guardName, int width)
    {
        PoleGuard guard = KernelSamples.Guard(guardName);
        var size = new ElementwiseSize(50, 21, 3, 2);
        using var data = new ElementwiseSample(size, hasBias: false, isAtEnd: true);
        Forward(data, guard, null, 1, KernelSamples.Width(width));
        float[] plain = data.Y.Floats.ToArray();
        float[] low = [.. Enumerable.Repeat(float.PositiveInfinity, 42)], high = [.. Enumerable.Repeat(float.NegativeInfinity, 42)];
        fixed (float* lowest = low, highest = high)
        {
            // Once by the fast path, and again with the poles counted, which takes the other one.
            foreach (bool counts in new[] { false, true })
            {
                Array.Fill(low, float.PositiveInfinity);
                Array.Fill(high, float.NegativeInfinity);
                var tracking = new LadderTracking { RangeUse = RangeUse.Widen, Low = lowest, High = highest, GroupSize = 21, CountsPoles = counts };
                Forward(data, guard, tracking, 2, KernelSamples.Width(width));
                Assert.Equal(plain, data.Y.Floats.ToArray());
                for (int j = 0; j < 42; j++)
                {
                    float[] f = [.. Enumerable.Range(0, 50).Select(row => (float)data.Ladder(row, j % 21, j / 21, guard).Value)];
                    Assert.Equal(f.Min(), low[j], Math.Abs(f.Min()) * 1e-4);
                    Assert.Equal(f.Max(), high[j], Math.Abs(f.Max()) * 1e-4);
                }

                Assert.Equal(counts ? Math.Max(-low.Min(), high.Max()) : 0, tracking.MaxOutput);
                Assert.Equal(counts, tracking.MinDenominator < float.PositiveInfinity);
            }

            // Ladder 0 of every column held at 0.5: y = 0.5 V_0 + V_1 f_1.
            for (int j = 0; j < 21; j++)
            {
                (low[j], high[j]) = (0.5f, 0.5f);
            }

            Forward(data, guard, new LadderTracking { RangeUse = RangeUse.Clip, Low = lowest, High = highest, GroupSize = 21 }, 1, KernelSamples.Width(width));
        }

        for (int i = 0; i < plain.Length; i++)
        {
            (int row, int column) = (i / 21, i % 21);
            double held = (0.5 * data.Combine.Floats[column]) + (data.Combine.Floats[21 + column] * data.Ladder(row, column, 1, guard).Value);
            Assert.Equal(held, data.Y.Floats[i], 1e-4 * (1 + Math.Abs(held)));
        }
    }

    private static void Check(ElementwiseSize size, PoleGuard guard, SimdWidth width, bool hasBias, float inputScale)
    {
        using var data = new ElementwiseSample(size, hasBias, isAtEnd: (size.Depth & 1) == 0);
        foreach (ref float g in data.G.Floats)
        {
            g *= inputScale;
        }

        Forward(data, guard, null, 2, width);
        Backward(data, guard, 2, width);
        data.Require(guard);
    }

    private static void Forward(ElementwiseSample data, PoleGuard guard, LadderTracking? tracking, int threads, SimdWidth width) =>
        ElementwiseLadders.Forward(data.Size, data.G.Pointer, ElementType.Float32, data.Weights, (float*)data.Y.Pointer, guard, tracking, threads, width);

    private static void Backward(ElementwiseSample data, PoleGuard guard, int threads, SimdWidth width) => ElementwiseLadders.Backward(
        data.Size, data.G.Pointer, ElementType.Float32, data.Weights, (float*)data.GradY.Pointer, data.GradG.Pointer, data.Gradients, guard, threads, width);
}
