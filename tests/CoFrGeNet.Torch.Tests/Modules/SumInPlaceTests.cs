using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.Modules;

public sealed class SumInPlaceTests
{
    [Theory]
    [InlineData(ScalarType.Float32, ScalarType.Float32, ScalarType.Float32, true)]
    [InlineData(ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float32, false)]
    [InlineData(ScalarType.BFloat16, ScalarType.Float32, ScalarType.Float32, false)]
    public void It_is_the_sum_in_the_wider_type(ScalarType first, ScalarType second, ScalarType expected, bool isInPlace)
    {
        using var scope = NewDisposeScope();
        var y = tensor([1f, 2, -3], first);
        var sum = SumInPlace.Of(y, tensor([0.5f, -2, 8], second));
        Assert.Equal(expected, sum.dtype);
        Assert.Equal([1.5f, 0, 5], sum.data<float>().ToArray());
        Assert.Equal(isInPlace ? 1.5f : 1, y[0].to(ScalarType.Float32).item<float>());
    }

    // With a scalar of TorchSharp's own making, which nobody holds during the native call, this fails within the first thousands.
    [Fact]
    public async Task Collections_in_the_middle_of_a_sum_do_it_no_harm()
    {
        using var scope = NewDisposeScope();
        using var stop = new CancellationTokenSource();
        var collector = Task.Run(
            () =>
            {
                while (!stop.IsCancellationRequested)
                {
                    GC.Collect(0);
                    GC.WaitForPendingFinalizers();
                }
            },
            TestContext.Current.CancellationToken);
        var y = zeros(4);
        var one = ones(4);
        try
        {
            for (var i = 0; i < 20_000; i++)
            {
                SumInPlace.Of(y, one);
            }
        }
        finally
        {
            await stop.CancelAsync();
            await collector;
        }

        Assert.Equal(20_000, y[3].item<float>());
    }
}
