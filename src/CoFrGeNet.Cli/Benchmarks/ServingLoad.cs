using System.Diagnostics;
using CoFrGeNet.Client;

namespace CoFrGeNet.Cli;

/// <summary>What clients saw of a server under load.</summary>
/// <param name="Streams">Streams finished.</param>
/// <param name="Tokens">Tokens received.</param>
/// <param name="Seconds">How long it took.</param>
/// <param name="FirstTokens">Milliseconds to the first token of each stream, sorted.</param>
/// <param name="MemoryEarly">Bytes that this process used after a quarter of the time.</param>
/// <param name="MemoryLate">Bytes at the end.</param>
internal sealed record ServingLoadResult(int Streams, long Tokens, double Seconds, double[] FirstTokens, long MemoryEarly, long MemoryLate)
{
    public double TokensPerSecond => Tokens / Seconds;

    public double FirstToken(double share) => FirstTokens.Length == 0 ? 0 : FirstTokens[(int)(share * (FirstTokens.Length - 1))];
}

/// <summary>
/// Streams from many clients at once, each request after the other. Every stream is compared with what the same request gave when the server did nothing else, so a lost,
/// doubled or mixed-up token is seen.
/// </summary>
internal sealed class ServingLoad
{
    private static readonly string[] Prompts = ["Once upon a time", "The", "She said that she would", "In the morning the little dog went out to see what had", "One day,"];

    private readonly CompletionsClient _client;
    private readonly CompletionRequest[] _requests;
    private readonly string[] _alone;
    private readonly CancellationToken _stop;

    private ServingLoad(CompletionsClient client, CompletionRequest[] requests, string[] alone, CancellationToken stop)
    {
        _client = client;
        _requests = requests;
        _alone = alone;
        _stop = stop;
    }

    /// <summary>Asks every request once, alone.</summary>
    /// <param name="http">The server.</param>
    /// <param name="kinds">How many different requests.</param>
    /// <param name="tokens">Tokens of the longest stream; others have up to six less.</param>
    /// <param name="stop">Ends everything.</param>
    public static async Task<ServingLoad> PrepareAsync(HttpClient http, int kinds, int tokens, CancellationToken stop)
    {
        var client = new CompletionsClient(http);
        var requests = Enumerable.Range(0, kinds).Select(i => new CompletionRequest
        {
            Prompt = PromptInput.Of(Prompts[i % Prompts.Length]),
            MaxTokens = Math.Max(1, tokens - (i % 7)),
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
            alone[i] = (await ReadAsync(client, requests[i], stop).ConfigureAwait(false)).Ids;
        }

        return new ServingLoad(client, requests, alone, stop);
    }

    /// <summary>Streams from many clients.</summary>
    /// <param name="clients">How many.</param>
    /// <param name="duration">For how long new requests begin.</param>
    /// <exception cref="InvalidOperationException">A stream was not what its request gave alone.</exception>
    public async Task<ServingLoadResult> RunAsync(int clients, TimeSpan duration)
    {
        using var failure = CancellationTokenSource.CreateLinkedTokenSource(_stop);
        var clock = Stopwatch.StartNew();
        var firsts = new List<double>();
        long tokens = 0;
        var early = Task.Delay(duration / 4, failure.Token).ContinueWith(_ => Memory(), TaskScheduler.Default);
        await Task.WhenAll(Enumerable.Range(0, clients).Select(client => Task.Run(async () =>
        {
            for (var i = client; clock.Elapsed < duration; i += clients)
            {
                var kind = i % _requests.Length;
                try
                {
                    var (ids, count, first) = await ReadAsync(_client, _requests[kind], failure.Token).ConfigureAwait(false);
                    Check(ids == _alone[kind], $"request {kind} of client {client} gave {ids}, alone it gave {_alone[kind]}");
                    Interlocked.Add(ref tokens, count);
                    lock (firsts)
                    {
                        firsts.Add(first);
                    }
                }
                catch (Exception error) when (error is not OperationCanceledException)
                {
                    // The others need not run on.
                    await failure.CancelAsync().ConfigureAwait(false);
                    throw;
                }
            }
        }))).ConfigureAwait(false);
        var seconds = clock.Elapsed.TotalSeconds;
        return new ServingLoadResult(firsts.Count, tokens, seconds, [.. firsts.Order()], await early.ConfigureAwait(false), Memory());
    }

    private static long Memory()
    {
        GC.Collect();
        return Process.GetCurrentProcess().WorkingSet64;
    }

    private static async Task<(string Ids, int Count, double First)> ReadAsync(CompletionsClient client, CompletionRequest request, CancellationToken stop)
    {
        var clock = Stopwatch.StartNew();
        double first = 0;
        var ids = new List<int>();
        var finish = string.Empty;
        Usage? usage = null;
        await foreach (var chunk in client.StreamAsync(request, stop).ConfigureAwait(false))
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

        Check(finish == "length", $"a stream ended with '{finish}' instead of 'length'");
        Check(ids.Count == request.MaxTokens && usage?.CompletionTokens == ids.Count, $"a stream of {request.MaxTokens} tokens had {ids.Count} and was charged {usage?.CompletionTokens}");
        return (string.Join(' ', ids), ids.Count, first);
    }

    private static void Check(bool holds, string what)
    {
        if (!holds)
        {
            throw new InvalidOperationException($"The server gave a wrong stream: {what}.");
        }
    }
}
