namespace CoFrGeNet.Server.Tests;

/// <summary>Two clients that take the only slot and the only place of a queue, until they leave.</summary>
internal sealed class QueueCrowd : IAsyncDisposable
{
    private readonly CancellationTokenSource _leave = new();
    private readonly List<Task> _requests = [];

    /// <summary>Fills a server with one slot and a queue of one.</summary>
    public static async Task<QueueCrowd> FillAsync(TestServer server)
    {
        var crowd = new QueueCrowd();
        var scheduler = server.Models.All[0].Scheduler;
        crowd.Ask(server);
        await TestServer.UntilAsync(() => scheduler.Running == 1, "the first request got no slot");
        crowd.Ask(server);
        await TestServer.UntilAsync(() => scheduler.Waiting == 1, "the second request does not wait");
        return crowd;
    }

    /// <summary>Makes room.</summary>
    public void Leave() => _leave.Cancel();

    public async ValueTask DisposeAsync()
    {
        Leave();
        foreach (var request in _requests)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
        }

        _leave.Dispose();
    }

    private void Ask(TestServer server) =>
        _requests.Add(server.Http.PostAsync(new Uri("v1/completions", UriKind.Relative), TestServer.Json("""{"prompt":"x","max_tokens":900,"ignore_eos":true}"""), _leave.Token));
}
