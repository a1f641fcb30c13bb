using CoFrGeNet.Configuration;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.ContinuedFractions;

/// <summary>Live tensors are counted for the whole process, so nothing else may run beside these tests.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class LiveTensors
{
    public const string Name = "live tensors";

    /// <summary>The count once finalizers of what earlier tests left behind cannot lower it any more.</summary>
    public static long Count()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return Tensor.TotalCount;
    }
}

[Collection(LiveTensors.Name)]
public class LadderMemoryTests
{
    [Theory]
    [InlineData("clamp")]
    [InlineData("smooth")]
    [InlineData("positive")]
    public void Rounds_without_a_scope_leave_nothing_to_the_finalizer(string name)
    {
        PoleGuard guard = LadderSamples.Guard(name);
        using Tensor leaf = rand(16, 4, 8).requires_grad_(true);
        using Tensor weights = rand(16, 8);
        Round(leaf, weights, guard);
        long before = LiveTensors.Count();
        for (int i = 0; i < 200; i++)
        {
            Round(leaf, weights, guard);
        }

        Assert.Equal(before, Tensor.TotalCount);
    }

    [Fact]
    public void Forward_without_gradient_leaves_nothing_behind()
    {
        using Tensor a = rand(16, 4, 8);
        using var statistics = new PoleStatistics();
        using (Tensor f = LadderFunction.Apply(a, PoleGuard.Default, statistics))
        {
            Assert.Equal(8, f.size(-1));
        }

        long before = LiveTensors.Count();
        for (int i = 0; i < 200; i++)
        {
            using Tensor f = LadderFunction.Apply(a, PoleGuard.Default, statistics);
        }

        Assert.Equal(before, Tensor.TotalCount);
        Assert.Equal(201 * 16 * 8, statistics.Count);
    }

    [Fact]
    public void An_abandoned_graph_is_released_with_its_output()
    {
        using Tensor leaf = rand(16, 4, 8).requires_grad_(true);
        LadderFunction.Apply(leaf, PoleGuard.Default).Dispose();
        long before = LiveTensors.Count();
        for (int i = 0; i < 200; i++)
        {
            LadderFunction.Apply(leaf, PoleGuard.Default).Dispose();
        }

        Assert.Equal(before, Tensor.TotalCount);
    }

    [Fact]
    public void Elementwise_rounds_leave_nothing_to_the_finalizer()
    {
        using Tensor leaf = rand(16, 20).requires_grad_(true), levels = rand(3, 2, 20).requires_grad_(true), combine = rand(2, 20).requires_grad_(true);
        using Tensor weights = rand(16, 20);
        void ElementwiseRound()
        {
            using Tensor g = leaf.alias();
            using Tensor y = ElementwiseFunction.Apply(g, levels, null, combine, PoleGuard.Default, null, null);
            y.backward([weights]);
            foreach (Tensor input in new[] { leaf, levels, combine })
            {
                input.grad!.Dispose();
                input.grad = null;
            }
        }

        ElementwiseRound();
        long before = LiveTensors.Count();
        for (int i = 0; i < 200; i++)
        {
            ElementwiseRound();
        }

        Assert.Equal(before, Tensor.TotalCount);
    }

    private static void Round(Tensor leaf, Tensor weights, PoleGuard guard)
    {
        using Tensor a = leaf.alias();
        using Tensor f = LadderFunction.Apply(a, guard);
        f.backward([weights]);
        using Tensor gradient = leaf.grad!;
        leaf.grad = null;
    }
}
