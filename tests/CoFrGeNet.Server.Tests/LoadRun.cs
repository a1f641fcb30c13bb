using System.Diagnostics;
using CoFrGeNet.Client;

namespace CoFrGeNet.Server.Tests;

/// <summary>What clients saw of a server under load.</summary>
/// <param name="Requests">Streams finished.</param>
/// <param name="Tokens">Tokens received.</param>
/// <param name="Seconds">How long it took.</param>
/// <param name="FirstTokens">Milliseconds to the first token of each stream, sorted.</param>
/// <param name="MemoryEarly">Bytes that the process used after a quarter of the time.</param>
/// <param name="MemoryLate">Bytes at the end.</param>
internal sealed record LoadResult(int Requests, long Tokens, double Seconds, double[] FirstTokens, long MemoryEarly, long MemoryLate)
{
    public double TokensPerSecond => Tokens / Seconds;

    public double FirstToken(double share) => FirstTokens.Length == 0 ? 0 : FirstTokens[(int)(share * (FirstTokens.Length - 1))];
}

/// <summary>
/// Streams from many clients at once, each request after the other. Every stream is compared with what the same request gave when the server did nothing else, so a lost,
/// doubled or mixed-up token is seen.
/// </summary>
internal sealed class LoadRun
{
    private static readonly string[] Prompts = ["Once upon a time", "The", "She said that she would", "In the morning the little dog went out to see what had", "One day,"];

    private readonly CompletionsClient _client;
    private readonly CompletionRequest[] _requests;
    private readonly string[] _alone;

    private LoadRun(CompletionsClient client, CompletionRequest[] requests, string[] alone)
    {
        _client = client;
        _requests = requests;
        _alone = alone;
    }

    /// <summary>Asks every request once, alone.</summary>
    /// <param name="http">The server.</param>
    /// <param name="kinds">How many different requests.</param>
    /// <param name="tokens">Tokens of each.</param>
    public static async Task<LoadRun> PrepareAsync(HttpClient http, int kinds, int tokens)
    {
        var client = new CompletionsClient(http);
        var requests = Enumerable.Range(0, kinds).Select(i => new CompletionRequest
        {
            Prompt = PromptInput.Of(Prompts[i % Prompts.Length]),
            MaxTokens = tokens - (i % 7),
            Temperature = i % 3 == 0 ? 0 : 1,
            TopP = i % 2 == 0 ? 0.9 : 1,
            Seed = 1000 + i,
            IgnoreEos = true,
            ReturnTokenIds = true,
            StreamOptions = new StreamOptions { IncludeUsage = true },
        }).ToArray();
        var alone = new string[kinds];
        for (var i = 0; i < kinds; i++)
        {
            alone[i] = (await ReadAsync(client, requests[i])).Ids;
        }

        return new LoadRun(client, requests, alone);
    }

    /// <summary>Streams from many clients.</summary>
    /// <param name="clients">How many.</param>
    /// <param name="duration">For how long new requests begin.</param>
    public async Task<LoadResult> RunAsync(int clients, TimeSpan duration)
    {
        var clock = Stopwatch.StartNew();
        var firsts = new List<double>();
        long tokens = 0;
        var early = Task.Delay(duration / 4, TestServer.Cancel).ContinueWith(_ => Memory(), TaskScheduler.Default);
        await Task.WhenAll(Enumerable.Range(0, clients).Select(client => Task.Run(async () =>
        {
            for (var i = client; clock.Elapsed < duration; i += clients)
            {
                var kind = i % _requests.Length;
                var (ids, count, first) = await ReadAsync(_client, _requests[kind]);
                Assert.Equal(_alone[kind], ids);
                Interlocked.Add(ref tokens, count);
                lock (firsts)
                {
                    firsts.Add(first);
                }
            }
        })));
        var seconds = clock.Elapsed.TotalSeconds;
        return new LoadResult(firsts.Count, tokens, seconds, [.. firsts.Order()], await early, Memory());
    }

    private static long Memory()
    {
        GC.Collect();
        return Process.GetCurrentProcess().WorkingSet64;
    }

    private static async Task<(string Ids, int Count, double First)> ReadAsync(CompletionsClient client, CompletionRequest request)
    {
        var clock = Stopwatch.StartNew();
        double first = 0;
        var ids = new List<int>();
        var finish = string.Empty;
        Usage? usage = null;
        await foreach (var chunk in client.StreamAsync(request, TestServer.Cancel))
        {
            foreach (var choice in chunk.Choices)
            {
                if (choice.TokenIds is { } drawn)
                {
                    first = first == 0 ? clock.Elapsed.TotalMilliseconds : first;
                    ids.AddRange(drawn);
                }

                finish = choice.FinishReason ?? finish;
            }

            usage = chunk.Usage ?? usage;
        }

        Assert.Equal("length", finish);
        Assert.Equal(request.MaxTokens, ids.Count);
        Assert.Equal(ids.Count, usage!.CompletionTokens);
        return (string.Join(' ', ids), ids.Count, first);
    }
}
