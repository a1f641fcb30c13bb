using CoFrGeNet.Cli;
using CoFrGeNet.Tests;

namespace CoFrGeNet.Server.Tests;

/// <summary>The server over the managed engine and a real trained model.</summary>
public sealed class EngineTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Likelihoods_of_a_trained_model_over_http_equal_those_in_process_bit_by_bit()
    {
        var (served, model) = EngineServer.Load(EngineServer.Stories(_folder));
        using var owner = model;
        await using var server = await TestServer.StartAsync([served]);
        await HarnessTests.CompareAsync(server, model, served.Tokenizer);
    }

    [Fact]
    public async Task Every_stream_under_load_equals_its_run_alone()
    {
        var (served, model) = EngineServer.Load(EngineServer.Stories(_folder));
        using var owner = model;
        await using var server = await TestServer.StartAsync([served], options => options with { Slots = 12 });
        var load = await ServingLoad.PrepareAsync(server.Http, 10, 60, TestServer.Cancel);
        var result = await load.RunAsync(20, TimeSpan.FromSeconds(2));
        Assert.True(result.Streams >= 20, $"only {result.Streams} streams finished");
    }

    [Fact]
    public async Task Sequences_wait_for_room_in_the_caches()
    {
        var folder = EngineServer.Stories(_folder);
        using var model = Inference.InferenceModel.Load(folder, new Inference.InferenceOptions { CacheTokens = 128 });
        var served = EngineServer.Load(folder).Served with { Model = model, CacheTokens = model.CacheCapacity };
        await using var server = await TestServer.StartAsync([served]);
        // Each takes two pages of 64 tokens in the end, and there are two.
        var answers = await Task.WhenAll(Enumerable.Range(0, 4).Select(i => server.PostAsync("v1/completions", $$"""{"prompt":"Once upon a time","max_tokens":90,"ignore_eos":true,"seed":{{i}}}""")));
        Assert.All(answers, answer => Assert.Equal(System.Net.HttpStatusCode.OK, answer.Status));
        // One that can never fit is refused, and the server goes on.
        Assert.Equal(System.Net.HttpStatusCode.BadRequest, (await server.PostAsync("v1/completions", """{"prompt":"Once upon a time","max_tokens":200,"ignore_eos":true}""")).Status);
        Assert.Equal(System.Net.HttpStatusCode.OK, (await server.PostAsync("v1/completions", """{"prompt":"Once upon a time","max_tokens":20}""")).Status);
    }
}
