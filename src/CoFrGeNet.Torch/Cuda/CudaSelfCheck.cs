using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Torch.Native;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Cuda;

// Dimensions: N = rows (tokens), p = width, d = depth, L = number of ladders.

/// <summary>
/// Runs freshly compiled kernels once over a small input and compares them with tensor operations on the CPU: a compiler, driver or device on which they
/// go wrong is to be found here and not in a model. Far from poles, so that a rounding stays one.
/// </summary>
internal static class CudaSelfCheck
{
    // More than a block and less than two in each direction.
    private const int Rows = 67, Width = 131, LadderCount = 45, ElementwiseLadderCount = 2;

    // Some of the denominators are guarded then, and none is this number but for rounding, so that it counts on one side only.
    private const double Epsilon = 1.3331337;

    /// <summary>Checks projected ladders.</summary>
    /// <param name="kernels">The kernels.</param>
    /// <param name="depth">d.</param>
    /// <param name="guard">Any guard of their kind.</param>
    /// <param name="like">A tensor of their type on their device.</param>
    /// <param name="stream">The stream to run in.</param>
    /// <exception cref="CudaException">A result differs.</exception>
    public static void Check(CudaProjectedLadders kernels, int depth, PoleGuard guard, Tensor like, nint stream)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        guard = guard with { Epsilon = Epsilon };
        LadderRange range = LadderRange.For(depth, 127, guard);

        // Levels of one sign within a ladder.
        Tensor a = (Numbers(0.2, 0.15, Rows, depth, LadderCount) * HeldArithmetic.CountUp(LadderCount, ScalarType.Int64).Modulo(2).Times(2).Plus(-1)).to_type(like.dtype);
        Tensor upstream = Numbers(-1, 0.2, Rows, LadderCount).to_type(like.dtype);
        using PoleStatistics statistics = new(), expectedStatistics = new();
        using var outputs = new OutputRange(ModuleOptions.Default with { Device = like.device }, LadderCount);
        Tensor there = a.to(like.device);
        Tensor f = kernels.Forward(there, guard, statistics, outputs.CanFuse(there, LadderCount) ? outputs : null, stream).cpu();
        Tensor gradient = kernels.Backward(there, guard, upstream.to(like.device), stream).cpu();
        Require(ComposedLadders.Forward(a, guard, range, expectedStatistics), f, "values");
        Require(ComposedLadders.Backward(a, guard, range, upstream), gradient, "gradients");

        Require(tensor(Counts(expectedStatistics)), tensor(Counts(statistics)), "counts of guarded denominators", 1e-2);
        Require(tensor(expectedStatistics.MinDenominator), tensor(statistics.MinDenominator), "smallest denominators");
        Require(tensor(expectedStatistics.MaxOutput), tensor(statistics.MaxOutput), "largest outputs");
        if (outputs.CanFuse(there, LadderCount))
        {
            Require(f.amin([0]), outputs.Low.cpu(), "lower ends");
            Require(f.amax([0]), outputs.High.cpu(), "upper ends");
        }
    }

    /// <summary>Checks elementwise ladders.</summary>
    /// <param name="kernels">The kernels.</param>
    /// <param name="depth">d.</param>
    /// <param name="guard">Any guard of their kind.</param>
    /// <param name="like">A tensor of their type on their device.</param>
    /// <param name="stream">The stream to run in.</param>
    /// <exception cref="CudaException">A result differs.</exception>
    public static void Check(CudaElementwiseLadders kernels, int depth, PoleGuard guard, Tensor like, nint stream)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        guard = guard with { Epsilon = Epsilon };
        Tensor[] inputs =
        [
            Numbers(-1.7, 0.4, Rows, Width).to_type(like.dtype),
            Numbers(0.5, 0.15, depth, ElementwiseLadderCount, Width),
            Numbers(-1, 0.2, ElementwiseLadderCount, Width),
        ];
        Tensor upstream = Numbers(-1, 0.2, Rows, Width);
        Tensor[] there = [.. inputs.Select(input => input.to(like.device))];
        Tensor y = kernels.Forward(there, guard, null, null, stream).cpu();
        Tensor[] gradients = [.. there.Select(input => empty_like(input))];
        kernels.Backward(there, guard, upstream.to(like.device), gradients, stream);
        Require(ComposedElementwise.Forward(inputs, guard, null, null), y, "values");
        Tensor[] expected = ComposedElementwise.Backward(inputs, guard, upstream);
        for (int i = 0; i < expected.Length; i++)
        {
            Require(expected[i], gradients[i].cpu(), "gradients");
        }
    }

    // first, first + step, .. first + 10 step, over and over, in an order without a pattern along the axes.
    private static Tensor Numbers(double first, double step, params long[] shape)
    {
        long count = shape.Aggregate(1L, (product, size) => product * size);
        using Tensor index = HeldArithmetic.CountUp(count, ScalarType.Int64);
        return index.Times(7919).Modulo(1009).Modulo(11).to_type(ScalarType.Float32).Times(step).Plus(first).view(shape);
    }

    private static double[] Counts(PoleStatistics statistics) => [statistics.Count, statistics.Guarded];

    /// <summary>Throws where two results differ by more than rounding.</summary>
    internal static void Require(Tensor expected, Tensor actual, string what, double? tolerance = null)
    {
        // float32 rounds at 6e-8, a ladder of 16 levels and a sum of 67 rows by some hundreds of that; bfloat16 at 4e-3, by one place where float32 differs.
        tolerance ??= expected.dtype == ScalarType.BFloat16 ? 1e-2 : 1e-4;
        using Tensor wide = expected.to_type(ScalarType.Float64), other = actual.to_type(ScalarType.Float64);
        double scale = wide.abs().max().item<double>();
        double worst = (wide - other).abs().max().item<double>();
        if (!(worst <= tolerance * scale))
        {
            throw new CudaException($"the compiled kernels compute wrong {what}: off by {worst:G3} where they are up to {scale:G3}");
        }
    }
}
