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
            using var data = new Buffers(new ElementwiseSize(70, 21, depth, 2), hasBias: false, isAtEnd: true);
            KernelSamples.Fill(data.G.Floats, depth, withHard: true);
            data.Forward(KernelSamples.Guard(guardName), null, 1, KernelSamples.Width(width));
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
            using var data = new Buffers(size, hasBias: false, isAtEnd: false);
            data.Forward(PoleGuard.Default, null, threads, SimdWidths.Best);
            data.Backward(PoleGuard.Default, threads, SimdWidths.Best);
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
        using var data = new Buffers(size, hasBias: false, isAtEnd: true);
        data.Forward(guard, null, 1, KernelSamples.Width(width));
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
                data.Forward(guard, tracking, 2, KernelSamples.Width(width));
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

            data.Forward(guard, new LadderTracking { RangeUse = RangeUse.Clip, Low = lowest, High = highest, GroupSize = 21 }, 1, KernelSamples.Width(width));
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
        using var data = new Buffers(size, hasBias, isAtEnd: (size.Depth & 1) == 0);
        foreach (ref float g in data.G.Floats)
        {
            g *= inputScale;
        }

        data.Forward(guard, null, 2, width);
        data.Backward(guard, 2, width);
        int p = size.Width;
        double[] gradLevels = new double[data.Levels.Floats.Length], levelScale = new double[gradLevels.Length];
        double[] gradBiases = new double[gradLevels.Length], biasScale = new double[gradLevels.Length];
        double[] gradCombine = new double[data.Combine.Floats.Length], combineScale = new double[gradCombine.Length];
        for (int i = 0; i < size.Rows * p; i++)
        {
            (int row, int column) = (i / p, i % p);
            float g = data.G.Floats[i], upstream = data.GradY.Floats[i];
            double y = 0, yScale = 0, gradG = 0, gradScale = 0;
            for (int l = 0; l < size.Ladders; l++)
            {
                LadderExpectation ladder = data.Ladder(row, column, l, guard);
                float v = data.Combine.Floats[(l * p) + column];
                y += v * ladder.Value;
                yScale += Math.Abs(v) * ladder.ValueTolerance;
                gradCombine[(l * p) + column] += upstream * ladder.Value;
                combineScale[(l * p) + column] += Math.Abs(upstream) * ladder.ValueTolerance;
                for (int k = 0; k < size.Depth; k++)
                {
                    int at = (((k * size.Ladders) + l) * p) + column;
                    double one = v * upstream * ladder.Derivatives[k], scale = Math.Abs(v * upstream) * ladder.Tolerances[k];
                    gradG += one * data.Levels.Floats[at];
                    gradScale += Math.Abs(scale * data.Levels.Floats[at]);
                    gradLevels[at] += one * g;
                    levelScale[at] += Math.Abs(scale * g);
                    gradBiases[at] += one;
                    biasScale[at] += scale;
                }
            }

            Near(y, data.Y.Floats[i], yScale, $"d = {size.Depth}: y[{i}]");
            Near(gradG, data.GradG.Floats[i], gradScale, $"d = {size.Depth}: dg[{i}]");
        }

        for (int i = 0; i < gradLevels.Length; i++)
        {
            Near(gradLevels[i], data.GradLevels.Floats[i], levelScale[i], $"d = {size.Depth}: dw[{i}]");
            if (hasBias)
            {
                Near(gradBiases[i], data.GradBiases.Floats[i], biasScale[i], $"d = {size.Depth}: db[{i}]");
            }
        }

        for (int i = 0; i < gradCombine.Length; i++)
        {
            Near(gradCombine[i], data.GradCombine.Floats[i], combineScale[i], $"d = {size.Depth}: dV[{i}]");
        }
    }

    // The ladders' own tolerances add up; the floor is for terms that cancel in a sum of up to 40 of about 1.
    private static void Near(double expected, float actual, double tolerance, string what) =>
        Assert.True(Math.Abs(actual - expected) <= (2 * tolerance) + (2e-6 * (Math.Abs(expected) + 1)), $"{what} = {actual}, expected {expected}");

    private sealed class Buffers : IDisposable
    {
        private readonly ElementwiseSize _size;

        public Buffers(ElementwiseSize size, bool hasBias, bool isAtEnd)
        {
            _size = size;
            long n = size.Rows * size.Width * sizeof(float), w = (long)size.Depth * size.Ladders * size.Width * sizeof(float), v = w / size.Depth;
            (G, Y, GradY, GradG) = (new(n, isAtEnd), new(n, isAtEnd), new(n, isAtEnd), new(n, isAtEnd));
            (Levels, GradLevels, Combine, GradCombine) = (new(w, isAtEnd), new(w, isAtEnd), new(v, isAtEnd), new(v, isAtEnd));
            (Biases, GradBiases) = (new(w, isAtEnd), new(w, isAtEnd));
            HasBias = hasBias;
            KernelSamples.Fill(G.Floats, 1, withHard: false);
            KernelSamples.Fill(GradY.Floats, 2, withHard: false);
            KernelSamples.Fill(Levels.Floats, 3, withHard: false);
            KernelSamples.Fill(Combine.Floats, 4, withHard: false);
            KernelSamples.Fill(Biases.Floats, 5, withHard: false);
        }

        public bool HasBias { get; }

        public GuardedMemory G { get; }

        public GuardedMemory Y { get; }

        public GuardedMemory GradY { get; }

        public GuardedMemory GradG { get; }

        public GuardedMemory Levels { get; }

        public GuardedMemory GradLevels { get; }

        public GuardedMemory Combine { get; }

        public GuardedMemory GradCombine { get; }

        public GuardedMemory Biases { get; }

        public GuardedMemory GradBiases { get; }

        public void Forward(PoleGuard guard, LadderTracking? tracking, int threads, SimdWidth width) =>
            ElementwiseLadders.Forward(_size, G.Pointer, ElementType.Float32, Weights(Levels, Biases, Combine), (float*)Y.Pointer, guard, tracking, threads, width);

        public void Backward(PoleGuard guard, int threads, SimdWidth width) => ElementwiseLadders.Backward(
            _size,
            G.Pointer,
            ElementType.Float32,
            Weights(Levels, Biases, Combine),
            (float*)GradY.Pointer,
            GradG.Pointer,
            Weights(GradLevels, GradBiases, GradCombine),
            guard,
            threads,
            width);

        /// <summary>The float64 ladder l of a row and column; its partial denominators as float32 products in float32's range, as the kernel forms them.</summary>
        public LadderExpectation Ladder(int row, int column, int l, PoleGuard guard)
        {
            double bound = LadderRange.For<float>(_size.Depth, guard).Bound;
            var a = new double[_size.Depth];
            for (int k = 0; k < a.Length; k++)
            {
                int at = (((k * _size.Ladders) + l) * _size.Width) + column;
                float product = (Levels.Floats[at] * G.Floats[(row * _size.Width) + column]) + (HasBias ? Biases.Floats[at] : 0);
                a[k] = Math.Clamp(product, -bound, bound);
            }

            return new LadderExpectation(a, guard);
        }

        public void Dispose()
        {
            foreach (GuardedMemory memory in new[] { G, Y, GradY, GradG, Levels, GradLevels, Combine, GradCombine, Biases, GradBiases })
            {
                memory.Dispose();
            }
        }

        private ElementwiseWeights Weights(GuardedMemory levels, GuardedMemory biases, GuardedMemory combine) => new()
        {
            Levels = (float*)levels.Pointer,
            Biases = HasBias ? (float*)biases.Pointer : null,
            Combine = (float*)combine.Pointer,
        };
    }
}
