using CoFrGeNet.Client;

namespace CoFrGeNet.Server;

/// <summary><c>POST /tokenize</c>, <c>POST /detokenize</c> and <c>GET /tokenizer_info</c>, beside <c>/v1</c> as in vLLM; lm-evaluation-harness reads them.</summary>
internal static class TokenizerApi
{
    /// <summary>Adds the endpoints.</summary>
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/tokenize", TokenizeAsync).WithName("tokenize").WithSummary("Turns a text into token ids").Accepts<TokenizeRequest>("application/json", "*/*").Produces<TokenizeResponse>();
        routes.MapPost("/detokenize", DetokenizeAsync).WithName("detokenize").WithSummary("Turns token ids into a text").Accepts<DetokenizeRequest>("application/json", "*/*").Produces<DetokenizeResponse>();
        routes.MapGet("/tokenizer_info", (string? model, ModelDirectory models) => Results.Json(Describe(models.FindOrFirst(model)), ServerJson.Wire.TokenizerInfo))
            .WithName("getTokenizer").WithSummary("Describes the tokenizer").Produces<TokenizerInfo>();
    }

    private static async Task TokenizeAsync(HttpContext context, ModelDirectory models)
    {
        var request = await RequestBody.ReadAsync(context, ServerJson.Wire.TokenizeRequest).ConfigureAwait(false);
        var model = models.FindOrFirst(request.Model);
        var text = request.Prompt ?? throw ApiException.Invalid("prompt", "The member 'prompt' is missing.");
        var ids = model.Tokenize(text, request.AddSpecialTokens != false);
        await Results.Json(new TokenizeResponse(ids, ids.Length, model.ContextLength), ServerJson.Wire.TokenizeResponse).ExecuteAsync(context).ConfigureAwait(false);
    }

    private static async Task DetokenizeAsync(HttpContext context, ModelDirectory models)
    {
        var request = await RequestBody.ReadAsync(context, ServerJson.Wire.DetokenizeRequest).ConfigureAwait(false);
        var tokenizer = models.FindOrFirst(request.Model).Model.Tokenizer;
        int[] ids = [.. request.Tokens ?? throw ApiException.Invalid("tokens", "The member 'tokens' is missing.")];
        var stranger = Array.FindIndex(ids, id => id < 0 || id >= tokenizer.VocabularySize);
        if (stranger >= 0)
        {
            throw ApiException.Invalid("tokens", $"Token {stranger} is {ids[stranger]}; allowed are ids from 0 to {tokenizer.VocabularySize - 1}.");
        }

        await Results.Json(new DetokenizeResponse(tokenizer.Decode(ids)), ServerJson.Wire.DetokenizeResponse).ExecuteAsync(context).ConfigureAwait(false);
    }

    private static TokenizerInfo Describe(ModelHost model)
    {
        var tokenizer = model.Model.Tokenizer;
        string? Spelling(int? id) => id is { } known ? tokenizer.Decode([known]) : null;
        return new TokenizerInfo
        {
            TokenizerClass = tokenizer.Name,
            VocabSize = tokenizer.VocabularySize,
            ModelMaxLength = model.ContextLength,
            EosToken = Spelling(tokenizer.EndOfTextId),
            BosToken = Spelling(tokenizer.BeginOfTextId ?? tokenizer.EndOfTextId),
            PadToken = Spelling(tokenizer.EndOfTextId),
            ChatTemplate = model.Model.Jinja,
        };
    }
}
