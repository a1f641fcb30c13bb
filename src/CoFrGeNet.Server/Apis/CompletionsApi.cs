using CoFrGeNet.Client;
using CoFrGeNet.Generation;

namespace CoFrGeNet.Server;

/// <summary><c>POST /v1/completions</c>.</summary>
internal static class CompletionsApi
{
    private const int DefaultMaxTokens = 16;

    /// <summary>Adds the endpoint.</summary>
    public static void Map(IEndpointRouteBuilder routes) => routes.MapPost("/v1/completions", HandleAsync)
        .WithName("createCompletion")
        .WithSummary("Continues prompts")
        .Accepts<CompletionRequest>("application/json", "*/*")
        .Produces<CompletionResponse>()
        .Produces<ErrorResponse>(StatusCodes.Status400BadRequest);

    private static async Task HandleAsync(HttpContext context, ModelDirectory models, ServerOptions options)
    {
        var request = await RequestBody.ReadAsync(context, ServerJson.Wire.CompletionRequest).ConfigureAwait(false);
        var model = models.Find(request.Model);
        var prompts = Parse(request, model, options);
        var answer = new CompletionAnswer(request, model, prompts);
        await GenerationReply.SendAsync(context, model, [.. prompts.Select(prompt => prompt.Work)], request, answer).ConfigureAwait(false);
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

        var maxTokens = SamplingParser.MaxTokens(request.MaxTokens ?? Math.Min(DefaultMaxTokens, options.MaxTokens ?? DefaultMaxTokens), 0, options, "max_tokens");
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
