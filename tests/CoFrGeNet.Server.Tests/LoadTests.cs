namespace CoFrGeNet.Server.Tests;

/// <summary>Many clients at once.</summary>
public class LoadTests
{
    [Fact]
    public async Task Every_stream_under_load_equals_its_run_alone()
    {
        var model = FakeModel.Babbling();
        await using var server = await TestServer.StartAsync(model, options => options with { Slots = 16 });
        var load = await LoadRun.PrepareAsync(server.Http, 12, 40);
        var result = await load.RunAsync(24, TimeSpan.FromSeconds(1.5));
        Assert.True(result.Requests >= 24, $"only {result.Requests} streams finished");
        Assert.False(model.Overlapped);
        await TestServer.UntilAsync(() => model.OpenSequences == 0, "slots were lost");
    }
}
