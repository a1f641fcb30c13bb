using CoFrGeNet.Client;

namespace CoFrGeNet.Server;

/// <summary>Lets a request be computed and answers it, as a stream or in one piece: the same for every API that generates text.</summary>
internal static class GenerationReply
{
    /// <summary>Answers a request.</summary>
    /// <typeparam name="TPart">What one happening adds to one choice.</typeparam>
    /// <typeparam name="TChunk">One event of a stream.</typeparam>
    /// <typeparam name="TWhole">The answer in one piece.</typeparam>
    /// <param name="context">Where the answer goes.</param>
    /// <param name="model">What computes.</param>
    /// <param name="prompts">What is computed.</param>
    /// <param name="request">Says whether the answer is a stream.</param>
    /// <param name="answer">The words of the answer.</param>
    public static async Task SendAsync<TPart, TChunk, TWhole>(
        HttpContext context, ModelHost model, IReadOnlyList<PromptWork> prompts, ISamplingRequest request, IAnswer<TPart, TChunk, TWhole> answer)
    {
        using var deadline = new RequestDeadline(context, context.RequestServices.GetRequiredService<ServerOptions>());
        var job = new GenerationJob(prompts, deadline.Token);
        model.Scheduler.Add(job);
        await (request.Stream == true
            ? StreamAsync(context, job, deadline, answer, request.StreamOptions?.IncludeUsage == true)
            : WholeAsync(context, job, deadline, answer)).ConfigureAwait(false);
        var metrics = context.RequestServices.GetRequiredService<ServerMetrics>();
        metrics.Answered(model.Name, job.Started, answer.Usage.PromptTokens, answer.Usage.CompletionTokens);
        foreach (var reason in answer.Finish)
        {
            metrics.Finished(model.Name, reason ?? "length");
        }
    }

    private static async Task WholeAsync<TPart, TChunk, TWhole>(HttpContext context, GenerationJob job, RequestDeadline deadline, IAnswer<TPart, TChunk, TWhole> answer)
    {
        var parts = new List<TPart>();
        try
        {
            await foreach (var what in job.Events.ReadAllAsync(deadline.Token).ConfigureAwait(false))
            {
                parts.AddRange(answer.Take(what));
            }
        }
        catch (Exception error) when (error is not ApiException)
        {
            throw deadline.Translate(error);
        }

        await Results.Json(answer.Whole(parts), answer.WholeType).ExecuteAsync(context).ConfigureAwait(false);
    }

    private static async Task StreamAsync<TPart, TChunk, TWhole>(
        HttpContext context, GenerationJob job, RequestDeadline deadline, IAnswer<TPart, TChunk, TWhole> answer, bool includeUsage)
    {
        var stream = new EventStream(context);
        await stream.PumpAsync(job, deadline, what =>
        {
            foreach (var part in answer.Take(what))
            {
                stream.Write(answer.Chunk([part]), answer.ChunkType);
            }
        }).ConfigureAwait(false);
        if (includeUsage)
        {
            stream.Write(answer.Chunk([], answer.Usage), answer.ChunkType);
        }

        await stream.EndAsync().ConfigureAwait(false);
    }
}
