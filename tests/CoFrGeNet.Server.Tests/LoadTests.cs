using CoFrGeNet.Cli;

namespace CoFrGeNet.Server.Tests;

/// <summary>Many clients at once, shortly. <c>cofrgenet bench serve</c> does the same for as long as one likes; benchmarks/results/serving.md has its figures.</summary>
public class LoadTests
{
    [Fact]
    public async Task Every_stream_under_load_equals_its_run_alone()
    {
        var model = FakeModel.Babbling();
        await using var server = await TestServer.StartAsync(model, options => options with { Slots = 16 });
        var load = await ServingLoad.PrepareAsync(server.Http, 12, 40, TestServer.Cancel);
        var result = await load.RunAsync(24, TimeSpan.FromSeconds(1.5));
        Assert.True(result.Streams >= 24, $"only {result.Streams} streams finished");
        Assert.False(model.Overlapped);
        await TestServer.UntilAsync(() => model.OpenSequences == 0, "slots were lost");
    }

    [Fact]
    public async Task A_stream_that_differs_from_its_run_alone_is_noticed()
    {
        var shift = 0;
        var model = new FakeModel(1000, sequence =>
        {
            var logits = new float[257];
            logits['a' + ((sequence.Count + shift) % 26)] = 50;
            return logits;
        });
        await using var server = await TestServer.StartAsync(model);
        var load = await ServingLoad.PrepareAsync(server.Http, 3, 20, TestServer.Cancel);
        shift = 1;
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => load.RunAsync(2, TimeSpan.FromSeconds(5)));
        Assert.Contains("alone it gave", error.Message);
    }
}
