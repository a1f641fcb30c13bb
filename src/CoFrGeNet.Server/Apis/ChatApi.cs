using CoFrGeNet.Client;
using CoFrGeNet.Generation;

namespace CoFrGeNet.Server;

/// <summary><c>POST /v1/chat/completions</c>.</summary>
internal static class ChatApi
{
    /// <summary>Adds the endpoint.</summary>
    public static void Map(IEndpointRouteBuilder routes) => routes.MapPost("/v1/chat/completions", HandleAsync)
        .WithName("createChatCompletion")
        .WithSummary("Answers in a conversation")
        .Accepts<ChatRequest>("application/json", "*/*")
        .Produces<ChatResponse>()
        .Produces<ErrorResponse>(StatusCodes.Status400BadRequest);

    private static async Task HandleAsync(HttpContext context, ModelDirectory models, ServerOptions options)
    {
        var request = await RequestBody.ReadAsync(context, ServerJson.Wire.ChatRequest).ConfigureAwait(false);
        var model = models.Find(request.Model);
        var template = model.Model.Template;
        var prompt = Parse(request, model, template, options);
        var answer = new ChatAnswer(request, model, prompt, template.TrimsAnswers);
        await GenerationReply.SendAsync(context, model, [prompt], request, answer).ConfigureAwait(false);
    }

    private static PromptWork Parse(ChatRequest request, ModelHost model, ChatTemplate template, ServerOptions options)
    {
        var messages = request.Messages is { Count: > 0 } given ? given : throw ApiException.Invalid("messages", "The member 'messages' is missing or empty.");
        for (var i = 0; i < messages.Count; i++)
        {
            // An assistant that called a function has said nothing.
            if (messages[i] is not { Role.Length: > 0 } || (messages[i].Content is null && messages[i].Role != "assistant"))
            {
                throw ApiException.Invalid("messages", $"Message {i} has no {(messages[i] is { Role.Length: > 0 } ? "content" : "role")}.");
            }
        }

        if (request.Tools is { Count: > 0 })
        {
            throw ApiException.Invalid("tools", "These models call no functions; leave 'tools' out.");
        }

        if (request.Functions is { Count: > 0 })
        {
            throw ApiException.Invalid("functions", "These models call no functions; leave 'functions' out.");
        }

        if (request.Modalities?.FirstOrDefault(modality => modality != "text") is { } modality)
        {
            throw ApiException.Invalid("modalities", $"modalities names '{modality}'; allowed is text.");
        }

        if (request.ResponseFormat is { Type: not (null or "text") })
        {
            throw ApiException.Invalid("response_format", $"response_format is '{request.ResponseFormat.Type}'; allowed is text.");
        }

        SamplingParser.CheckStream(request);
        if (request.TopLogprobs is not null && request.Logprobs != true)
        {
            throw ApiException.Invalid("top_logprobs", "top_logprobs is only allowed with logprobs: true.");
        }

        var logprobs = SamplingParser.Logprobs(request.Logprobs == true ? request.TopLogprobs ?? 0 : null, options, "top_logprobs");
        var n = SamplingParser.Choices(request.N ?? 1, 1, options, "n");
        var tokens = SamplingParser.Prompt(Encode(messages, model, template), model, options, "messages");
        var wanted = request.MaxCompletionTokens ?? request.MaxTokens;
        var maxTokens = wanted is { } limit
            ? SamplingParser.MaxTokens(limit, 1, options, request.MaxCompletionTokens is null ? "max_tokens" : "max_completion_tokens")
            : Math.Min(options.MaxTokens ?? int.MaxValue, Room(model, tokens.Length));
        var sampling = SamplingParser.Parse(request, model, maxTokens, logprobs);
        sampling = sampling with { Stop = [.. sampling.Stop, .. template.Stop], StopIds = [.. sampling.StopIds, .. template.StopIds(model.Model.Tokenizer)] };
        return new PromptWork { Tokens = tokens, FirstChoice = 0, Choices = SamplingParser.Samplers(sampling, request.Seed, n) };
    }

    // What context and cache leave for an answer.
    private static int Room(ModelHost model, int prompt) =>
        (int)Math.Max(1, Math.Min(model.ContextLength + 1 - prompt, (model.Model.CacheTokens ?? int.MaxValue) - prompt));

    // Without a limit on its length, whose error would not be that of the API.
    private static int[] Encode(IReadOnlyList<ChatMessage> messages, ModelHost model, ChatTemplate template) =>
        new PromptEncoder(model.Model.Tokenizer, int.MaxValue).Encode(template.Render(messages.Select(message => new ChatTurn(message.Role!, message.Content ?? string.Empty))));
}
