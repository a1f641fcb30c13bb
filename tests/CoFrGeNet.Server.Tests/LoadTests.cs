using System.Globalization;

namespace CoFrGeNet.Server.Tests;

/// <summary>Many clients at once. The long runs are explicit; benchmarks/results/serving.md has their figures and the commands.</summary>
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

    /// <summary>
    /// Clients on the model folder COFRGENET_LOAD_MODEL, one run after the other: COFRGENET_LOAD_CLIENTS (1,16,64) for COFRGENET_LOAD_SECONDS (120) each, streams of COFRGENET_LOAD_TOKENS (48) tokens.
    /// </summary>
    [Fact(Explicit = true)]
    public async Task Many_clients_on_a_real_model()
    {
        static string Setting(string name, string initial) => Environment.GetEnvironmentVariable("COFRGENET_LOAD_" + name) ?? initial;
        var clients = Setting("CLIENTS", "1,16,64").Split(',').Select(count => int.Parse(count, CultureInfo.InvariantCulture)).ToArray();
        var duration = TimeSpan.FromSeconds(double.Parse(Setting("SECONDS", "120"), CultureInfo.InvariantCulture));
        var (served, model) = EngineServer.Load(Setting("MODEL", string.Empty));
        using var owner = model;
        await using var server = await TestServer.StartAsync([served], options => options with { Slots = 64 });
        var load = await LoadRun.PrepareAsync(server.Http, 10, int.Parse(Setting("TOKENS", "48"), CultureInfo.InvariantCulture));
        var results = new List<LoadResult>();
        foreach (var count in clients)
        {
            var result = await load.RunAsync(count, duration);
            results.Add(result);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{count} clients: {result.Requests} streams, {result.Tokens} tokens in {result.Seconds:F1} s, {result.TokensPerSecond:F1} tokens/s ({result.TokensPerSecond / results[0].TokensPerSecond:F2} of the first run's), first token after {result.FirstToken(0.5):F0} ms (median), {result.FirstToken(0.95):F0} ms (95 %), memory {result.MemoryEarly >> 20} MiB after a quarter, {result.MemoryLate >> 20} MiB at the end"));
        }

        // A tenth for what the runtime has not given back yet.
        Assert.All(results, result => Assert.InRange(result.MemoryLate, 0, result.MemoryEarly + (result.MemoryEarly / 10)));
    }
}
