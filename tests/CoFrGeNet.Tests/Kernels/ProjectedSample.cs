using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;

namespace CoFrGeNet.Tests.Kernels;

// Dimensions: N = rows, d = depth, L = number of ladders.

/// <summary>Inputs and room for results of projected ladders, each buffer beside a forbidden page, and what the results must be.</summary>
internal sealed class ProjectedSample : IDisposable
{
    public ProjectedSample(int rows, int depth, int ladders, bool isLevelOutermost, bool isAtEnd)
    {
        long n = (long)rows * ladders;
        Layout = isLevelOutermost
            ? new LadderLayout(rows, depth, ladders, ladders, n)
            : new LadderLayout(rows, depth, ladders, (long)depth * ladders, ladders);
        (A, GradA) = (new(n * depth * sizeof(float), isAtEnd), new(n * depth * sizeof(float), isAtEnd));
        (F, GradF) = (new(n * sizeof(float), isAtEnd), new(n * sizeof(float), isAtEnd));
        KernelSamples.Fill(A.Floats, depth, withHard: false);
        KernelSamples.Fill(GradF.Floats, depth + 100, withHard: false);
    }

    public LadderLayout Layout { get; }

    public GuardedMemory A { get; }

    public GuardedMemory F { get; }

    public GuardedMemory GradF { get; }

    public GuardedMemory GradA { get; }

    /// <summary>That f and the gradient are those of the float64 ladders.</summary>
    public void Require(PoleGuard guard)
    {
        int depth = Layout.Depth;
        var exact = new double[depth];
        for (int i = 0; i < Layout.Rows * Layout.Ladders; i++)
        {
            for (int k = 0; k < depth; k++)
            {
                exact[k] = A.Floats[Index(i, k)];
            }

            var expected = new LadderExpectation(exact, guard);
            float g = GradF.Floats[i];
            Assert.True(expected.IsValue(F.Floats[i]), $"d = {depth}, f[{i}] = {F.Floats[i]}, expected {expected.Value}");
            for (int k = 0; k < depth; k++)
            {
                float derivative = GradA.Floats[Index(i, k)];
                Assert.True(expected.IsDerivative(k, derivative, g), $"d = {depth}, df/da_{k + 1}[{i}] = {derivative}, expected {expected.Derivatives[k] * g}");
            }
        }
    }

    public void Dispose()
    {
        foreach (GuardedMemory memory in new[] { A, F, GradF, GradA })
        {
            memory.Dispose();
        }
    }

    private int Index(int i, int k) => (int)((i / Layout.Ladders * Layout.RowStride) + (k * Layout.LevelStride) + (i % Layout.Ladders));
}
