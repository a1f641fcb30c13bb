using CoFrGeNet.Configuration;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.ContinuedFractions;

public class PoleStatisticsTests
{
    [Fact]
    public void Denominators_and_outputs_are_counted_over_passes()
    {
        using var statistics = new PoleStatistics();
        Assert.Equal(0, statistics.GuardedShare);
        Assert.Equal(double.PositiveInfinity, statistics.MinDenominator);
        var guard = new ClampGuard { Epsilon = 0.25 };
        using (NewDisposeScope())
        {
            // Depth 1: K_d = a. The sums must outlive this scope.
            LadderFunction.Apply(tensor(new[] { 1f, -0.125f, 0f, 2f }, [1, 4]), guard, statistics);
            LadderFunction.Apply(tensor(new[] { 0.25f, -0.5f }, [1, 2]), guard, statistics);
        }

        Assert.Equal(6, statistics.Count);
        Assert.Equal(2, statistics.Guarded);
        Assert.Equal(2 / 6.0, statistics.GuardedShare);
        Assert.Equal(0, statistics.MinDenominator);
        Assert.Equal(4, statistics.MaxOutput);

        statistics.Reset();
        Assert.Equal(0, statistics.Count);
        Assert.Equal(0, statistics.MaxOutput);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(8)]
    public void The_smooth_guard_counts_in_units_of_the_denominator(int depth)
    {
        using DisposeScope scope = NewDisposeScope();
        using var statistics = new PoleStatistics();

        // a = (x, 0, .., 0) at even depth: K_d = 1, K_{d-1} = 0; x shows only in K_d's derivative.
        Tensor a = zeros(3, depth, 2);
        LadderFunction.Apply(a, new SmoothGuard { Epsilon = 2 }, statistics);
        Assert.Equal(1, statistics.GuardedShare);
        Assert.Equal(1, statistics.MinDenominator);
        Assert.Equal(0, statistics.MaxOutput);
    }

    [Fact]
    public void Types_may_differ_between_passes_and_gradients_do_not_matter()
    {
        using DisposeScope scope = NewDisposeScope();
        using var statistics = new PoleStatistics();
        LadderFunction.Apply(full([1, 3], 0.5).requires_grad_(true), PoleGuard.Paper, statistics);
        LadderFunction.Apply(full([1, 3], 0.125, ScalarType.Float64), PoleGuard.Paper, statistics);
        LadderFunction.Apply(full([1, 3], 4.0, ScalarType.BFloat16), PoleGuard.Paper, statistics);
        LadderFunction.Apply(zeros(0, 1, 3), PoleGuard.Paper, statistics);
        Assert.Equal(9, statistics.Count);
        Assert.Equal(0, statistics.Guarded);
        Assert.Equal(0.125, statistics.MinDenominator);
        Assert.Equal(8, statistics.MaxOutput);
    }
}
