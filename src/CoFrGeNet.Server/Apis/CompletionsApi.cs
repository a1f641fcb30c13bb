using CoFrGeNet.Client;
using CoFrGeNet.Generation;

namespace CoFrGeNet.Server;

/// <summary><c>POST /v1/completions</c>.</summary>
internal static class CompletionsApi
{
    private const int DefaultMaxTokens = 16;

    /// <summary>Adds the endpoint.</summary>
    public static void Map(IEndpointRouteBuilder routes) => routes.MapPost("/v1/completions", HandleAsync)
        .WithSummary("Continues prompts")
        .Accepts<CompletionRequest>("application/json", "*/*")
        .Produces<CompletionResponse>()
        .Produces<ErrorResponse>(StatusCodes.Status400BadRequest);

    private static async Task HandleAsync(HttpContext context, ModelDirectory models, ServerOptions options, ServerMetrics metrics)
    {
        var request = await RequestBody.ReadAsync(context, ServerJson.Wire.CompletionRequest).ConfigureAwait(false);
        var model = models.Find(request.Model);
        var prompts = Parse(request, model, options);
        using var deadline = new RequestDeadline(context, options);
        var job = new GenerationJob([.. prompts.Select(prompt => prompt.Work)], deadline.Token);
        var answer = new CompletionAnswer(request, model, prompts);
        model.Scheduler.Add(job);
        if (request.Stream == true)
        {
            await StreamAsync(context, job, deadline, answer, request.StreamOptions?.IncludeUsage == true).ConfigureAwait(false);
        }
        else
        {
            await WholeAsync(context, job, deadline, answer).ConfigureAwait(false);
        }

        answer.Count(metrics, job);
    }

    private static async Task WholeAsync(HttpContext context, GenerationJob job, RequestDeadline deadline, CompletionAnswer answer)
    {
        var parts = new List<CompletionChoice>();
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

        await Results.Json(answer.Whole(parts), ServerJson.Wire.CompletionResponse).ExecuteAsync(context).ConfigureAwait(false);
    }

    private static async Task StreamAsync(HttpContext context, GenerationJob job, RequestDeadline deadline, CompletionAnswer answer, bool includeUsage)
    {
        var stream = new EventStream(context);
        await stream.PumpAsync(job, deadline, what =>
        {
            foreach (var part in answer.Take(what))
            {
                stream.Write(answer.Chunk([part]), ServerJson.Wire.CompletionResponse);
            }
        }).ConfigureAwait(false);
        if (includeUsage)
        {
            stream.Write(answer.Chunk([]) with { Usage = answer.Usage }, ServerJson.Wire.CompletionResponse);
        }

        await stream.EndAsync().ConfigureAwait(false);
    }

    private static IReadOnlyList<CompletionPrompt> Parse(CompletionRequest request, ModelHost model, ServerOptions options)
    {
        var items = request.Prompt?.Items is { Count: > 0 } given ? given : throw ApiException.Invalid("prompt", "The member 'prompt' is missing or empty.");
        SamplingParser.CheckStream(request);
        if (request.Suffix is { Length: > 0 })
        {
            throw ApiException.Invalid("suffix", "These models continue a text; they cannot fill a gap before a suffix.");
        }

        var logprobs = SamplingParser.Logprobs(request.Logprobs, options, "logprobs");
        var n = SamplingParser.Choices(request.N ?? 1, items.Count, options, "n");
        var bestOf = SamplingParser.Choices(request.BestOf ?? n, items.Count, options, "best_of");
        if (bestOf < n || (bestOf > n && request.Stream == true))
        {
            throw ApiException.Invalid("best_of", bestOf < n ? $"best_of is {bestOf}; allowed is n ({n}) or more." : "best_of above n is not possible in a stream.");
        }

        var maxTokens = SamplingParser.MaxTokens(request.MaxTokens ?? DefaultMaxTokens, 0, options, "max_tokens");
        // The best are chosen by their log-probabilities, so those are computed, but not shown unless asked for.
        var sampling = SamplingParser.Parse(request, model, Math.Max(1, maxTokens), bestOf > n ? logprobs ?? 0 : logprobs);
        var echo = request.Echo == true;
        return [.. items.Select((item, i) => new CompletionPrompt(
            echo ? item.Text ?? Decode(item.Tokens!, model, options) : string.Empty,
            new PromptWork
            {
                Tokens = SamplingParser.Prompt(item.Tokens is { } ids ? [.. ids] : model.Encode(item.Text!, request.AddSpecialTokens != false), model, options, "prompt"),
                FirstChoice = i * bestOf,
                Choices = maxTokens == 0 ? new Sampler?[bestOf] : SamplingParser.Samplers(sampling, request.Seed, bestOf),
                ScoreTop = echo ? logprobs : null,
            }))];
    }

    private static string Decode(IReadOnlyList<int> ids, ModelHost model, ServerOptions options) =>
        model.Model.Tokenizer.Decode(SamplingParser.Prompt([.. ids], model, options, "prompt"));
}
