using CoFrGeNet.Configuration;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Tests.FeedForward;

public class OutputRangeTests
{
    [Fact]
    public void Training_widens_the_range_and_evaluation_clips_to_it()
    {
        foreach (var device in TestDevices.Available)
        {
            using var scope = NewDisposeScope();
            using var range = new OutputRange(new ModuleOptions { Device = device }, 2);
            Tensor Of(params float[] values) => tensor(values, [values.Length / 2, 2], device: device);
            Assert.Equal([-1, 5, 2, 0.5], PlainMath.Values(range.forward(Of(-1, 5, 2, 0.5f))));
            Assert.Equal([3, 1, 0, 7], PlainMath.Values(range.forward(Of(3, 1, 0, 7))));
            range.eval();

            // First ladder -1 .. 3, second 0.5 .. 7, over both calls.
            Assert.Equal([3, 0.5, -1, 7, 2, 2], PlainMath.Values(range.forward(Of(9, -9, -9, 9, 2, 2))));
            range.train();
            Assert.Equal([9, -9], PlainMath.Values(range.forward(Of(9, -9))));
            range.eval();
            Assert.Equal([9, -9], PlainMath.Values(range.forward(Of(99, -99))));
        }
    }

    [Fact]
    public void Nothing_is_clipped_before_training()
    {
        using var scope = NewDisposeScope();
        using var range = new OutputRange(ModuleOptions.Default, 1);
        range.eval();
        range.CountClipped = true;
        Assert.Equal([1e30f, -1e30f], PlainMath.Values(range.forward(tensor(new[] { 1e30f, -1e30f }, [2, 1]))).Select(v => (float)v));
        Assert.Equal(0, range.ClippedShare);
    }

    [Fact]
    public void The_share_of_clipped_outputs_is_counted_when_asked_for()
    {
        using var scope = NewDisposeScope();
        using var range = new OutputRange(ModuleOptions.Default, 1);
        range.forward(tensor(new[] { -1f, 1f }, [2, 1]));
        range.eval();
        range.forward(tensor(new[] { 5f }, [1, 1]));
        Assert.Null(range.ClippedShare);
        range.CountClipped = true;
        range.forward(tensor(new[] { 5f, 1f, 0f, -1.5f }, [4, 1]));
        Assert.Equal(0.5, range.ClippedShare);
    }

    [Fact]
    public void Clipping_stops_gradients_only_outside_training()
    {
        using var scope = NewDisposeScope();
        using var range = new OutputRange(ModuleOptions.Default, 1);
        var z = tensor(new[] { 4f }, [1, 1]).requires_grad_(true);
        range.forward(z).sum().backward();
        Assert.Equal(1, z.grad!.item<float>());
    }

    [Fact]
    public void Positions_have_their_own_range_at_every_offset()
    {
        using var scope = NewDisposeScope();
        using var range = new OutputRange(ModuleOptions.Default, 4, 1);
        range.forward(tensor(new[] { 1f, 2f, 3f, 4f, -1f, -2f, -3f, -4f }, [2, 4, 1]));
        range.eval();
        Assert.Equal([3, -4], PlainMath.Values(range.forward(tensor(new[] { 10f, -10f }, [1, 2, 1]), 2)));
        Assert.Equal([1, 2], PlainMath.Values(range.forward(tensor(new[] { 10f, 10f }, [1, 2, 1]), 0)));
        range.train();
        range.forward(tensor(new[] { 20f }, [1, 1, 1]), 3);
        range.eval();
        Assert.Equal([1, 2, 3, 20], PlainMath.Values(range.forward(full([1, 4, 1], 99f), 0)));
    }

    [Fact]
    public void The_range_of_a_layer_travels_with_its_weights()
    {
        using var scope = NewDisposeScope();
        using var trained = new Cffn(6, new CffnConfig { Ladders = new() { Count = 3, Depth = 2 } });
        trained.forward(FormulaWeights.Input(4, 6));
        trained.eval();
        using var loaded = new Cffn(6, new CffnConfig { Ladders = new() { Count = 3, Depth = 2 } });
        loaded.load_state_dict(trained.state_dict());
        loaded.eval();
        var far = FormulaWeights.Input(3, 6) * 50;
        Assert.True(PlainMath.Same(loaded.forward(far), trained.forward(far)));
        Assert.Contains("ladders.range.low", trained.state_dict().Keys);
        Assert.DoesNotContain(trained.named_parameters(), entry => entry.name.Contains("range", StringComparison.Ordinal));

        // The same weights without a range answer otherwise, so clipping was at work.
        using var open = new Cffn(6, new CffnConfig { Ladders = new() { Count = 3, Depth = 2, ClipToTrainedRange = false } });
        using var quiet = no_grad();
        var weights = trained.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        foreach (var (name, parameter) in open.named_parameters())
        {
            parameter.copy_(weights[name]);
        }

        open.eval();
        Assert.DoesNotContain("ladders.range.low", open.state_dict().Keys);
        Assert.False(PlainMath.Same(open.forward(far), trained.forward(far)));
    }
}
