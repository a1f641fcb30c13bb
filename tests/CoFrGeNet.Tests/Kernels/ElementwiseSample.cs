using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Kernels;

namespace CoFrGeNet.Tests.Kernels;

// Dimensions: N = rows, p = width, d = depth, L = number of ladders.

/// <summary>Inputs and room for results of elementwise ladders, each buffer beside a forbidden page, and what the results must be.</summary>
internal sealed unsafe class ElementwiseSample : IDisposable
{
    public ElementwiseSample(ElementwiseSize size, bool hasBias, bool isAtEnd)
    {
        Size = size;
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

    public ElementwiseSize Size { get; }

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

    public ElementwiseWeights Weights => Of(Levels, Biases, Combine);

    public ElementwiseWeights Gradients => Of(GradLevels, GradBiases, GradCombine);

    /// <summary>The float64 ladder l of a row and column; its partial denominators as float32 products in float32's range, as the kernel forms them.</summary>
    public LadderExpectation Ladder(int row, int column, int l, PoleGuard guard)
    {
        double bound = LadderRange.For<float>(Size.Depth, guard).Bound;
        var a = new double[Size.Depth];
        for (int k = 0; k < a.Length; k++)
        {
            int at = (((k * Size.Ladders) + l) * Size.Width) + column;
            float product = (Levels.Floats[at] * G.Floats[(row * Size.Width) + column]) + (HasBias ? Biases.Floats[at] : 0);
            a[k] = Math.Clamp(product, -bound, bound);
        }

        return new LadderExpectation(a, guard);
    }

    /// <summary>That y and all gradients are those of the float64 ladders.</summary>
    public void Require(PoleGuard guard)
    {
        int p = Size.Width;
        double[] gradLevels = new double[Levels.Floats.Length], levelScale = new double[gradLevels.Length];
        double[] gradBiases = new double[gradLevels.Length], biasScale = new double[gradLevels.Length];
        double[] gradCombine = new double[Combine.Floats.Length], combineScale = new double[gradCombine.Length];
        for (int i = 0; i < Size.Rows * p; i++)
        {
            (int row, int column) = (i / p, i % p);
            float g = G.Floats[i], upstream = GradY.Floats[i];
            double y = 0, yScale = 0, gradG = 0, gradScale = 0;
            for (int l = 0; l < Size.Ladders; l++)
            {
                LadderExpectation ladder = Ladder(row, column, l, guard);
                float v = Combine.Floats[(l * p) + column];
                y += v * ladder.Value;
                yScale += Math.Abs(v) * ladder.ValueTolerance;
                gradCombine[(l * p) + column] += upstream * ladder.Value;
                combineScale[(l * p) + column] += Math.Abs(upstream) * ladder.ValueTolerance;
                for (int k = 0; k < Size.Depth; k++)
                {
                    int at = (((k * Size.Ladders) + l) * p) + column;
                    double one = v * upstream * ladder.Derivatives[k], scale = Math.Abs(v * upstream) * ladder.Tolerances[k];
                    gradG += one * Levels.Floats[at];
                    gradScale += Math.Abs(scale * Levels.Floats[at]);
                    gradLevels[at] += one * g;
                    levelScale[at] += Math.Abs(scale * g);
                    gradBiases[at] += one;
                    biasScale[at] += scale;
                }
            }

            Near(y, Y.Floats[i], yScale, $"d = {Size.Depth}: y[{i}]");
            Near(gradG, GradG.Floats[i], gradScale, $"d = {Size.Depth}: dg[{i}]");
        }

        for (int i = 0; i < gradLevels.Length; i++)
        {
            Near(gradLevels[i], GradLevels.Floats[i], levelScale[i], $"d = {Size.Depth}: dw[{i}]");
            if (HasBias)
            {
                Near(gradBiases[i], GradBiases.Floats[i], biasScale[i], $"d = {Size.Depth}: db[{i}]");
            }
        }

        for (int i = 0; i < gradCombine.Length; i++)
        {
            Near(gradCombine[i], GradCombine.Floats[i], combineScale[i], $"d = {Size.Depth}: dV[{i}]");
        }
    }

    public void Dispose()
    {
        foreach (GuardedMemory memory in new[] { G, Y, GradY, GradG, Levels, GradLevels, Combine, GradCombine, Biases, GradBiases })
        {
            memory.Dispose();
        }
    }

    private ElementwiseWeights Of(GuardedMemory levels, GuardedMemory biases, GuardedMemory combine) => new()
    {
        Levels = (float*)levels.Pointer,
        Biases = HasBias ? (float*)biases.Pointer : null,
        Combine = (float*)combine.Pointer,
    };

    // The ladders' own tolerances add up; the floor is for terms that cancel in a sum of up to 40 of about 1.
    private static void Near(double expected, float actual, double tolerance, string what) =>
        Assert.True(Math.Abs(actual - expected) <= (2 * tolerance) + (2e-6 * (Math.Abs(expected) + 1)), $"{what} = {actual}, expected {expected}");
}
