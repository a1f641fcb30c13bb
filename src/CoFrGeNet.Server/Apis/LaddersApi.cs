using CoFrGeNet.Client;
using CoFrGeNet.ContinuedFractions;

namespace CoFrGeNet.Server;

/// <summary><c>POST /v1/ladders</c> and <c>POST /v1/ladders/curve</c>, which the page shows; only for models that are an <see cref="ILadderInspection"/>.</summary>
internal static class LaddersApi
{
    private const int Points = 241;
    private const float Widest = 3;

    /// <summary>Adds the endpoints.</summary>
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/v1/ladders", ReportAsync).WithName("getLadders").WithSummary("Share of ladder outputs that a prompt clips, layer by layer").Accepts<LadderRequest>("application/json", "*/*").Produces<LadderReport>();
        routes.MapPost("/v1/ladders/curve", CurveAsync).WithName("getLadderCurve").WithSummary("A ladder as a function").Accepts<LadderRequest>("application/json", "*/*").Produces<LadderCurveReport>();
    }

    private static async Task ReportAsync(HttpContext context, ModelDirectory models, ServerOptions options)
    {
        var (_, host, inspection, tokens) = await ReadAsync(context, models, options).ConfigureAwait(false);
        var layers = await LookAsync(context, options, host, tokens, () => inspection.InspectLadders(tokens)).ConfigureAwait(false);
        await Results.Json(
            new LadderReport([.. layers.Select(layer => new LadderLayer(layer.Layer, layer.Part, layer.Ladders, layer.Depth, layer.ClippedShare))]),
            ServerJson.Wire.LadderReport).ExecuteAsync(context).ConfigureAwait(false);
    }

    private static async Task CurveAsync(HttpContext context, ModelDirectory models, ServerOptions options)
    {
        var (request, host, inspection, tokens) = await ReadAsync(context, models, options).ConfigureAwait(false);
        var scales = Enumerable.Range(0, Points).Select(i => (i * 2 * Widest / (Points - 1)) - Widest).ToArray();
        var place = new LadderPlace(request.Layer ?? 0, request.Part ?? LadderUse.FeedForward, request.Ladder ?? 0);
        LadderCurve curve;
        try
        {
            curve = await LookAsync(context, options, host, tokens, () => inspection.InspectLadder(tokens, place, scales)).ConfigureAwait(false);
        }
        catch (ArgumentOutOfRangeException)
        {
            throw ApiException.Invalid("ladder", $"There is no ladder {place.Ladder} in layer {place.Layer}, {place.Part}; POST /v1/ladders lists them.");
        }

        await Results.Json(
            new LadderCurveReport([.. scales.Zip(curve.Values, (t, y) => new LadderPoint(t, y))], curve.Here, curve.Low, curve.High),
            ServerJson.Wire.LadderCurveReport).ExecuteAsync(context).ConfigureAwait(false);
    }

    // The pass is the model's, like any other: it takes its turn, within the time of a request.
    private static async Task<T> LookAsync<T>(HttpContext context, ServerOptions options, ModelHost host, int[] tokens, Func<T> look)
    {
        using var deadline = new RequestDeadline(context, options);
        try
        {
            return await host.Scheduler.LookAsync(tokens.Length, look, deadline.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException error)
        {
            throw deadline.Translate(error);
        }
    }

    private static async Task<(LadderRequest Request, ModelHost Host, ILadderInspection Inspection, int[] Tokens)> ReadAsync(HttpContext context, ModelDirectory models, ServerOptions options)
    {
        var request = await RequestBody.ReadAsync(context, ServerJson.Wire.LadderRequest).ConfigureAwait(false);
        var model = models.FindOrFirst(request.Model);
        var inspection = model.Model.Ladders ?? throw ApiException.Invalid("model", $"'{model.Name}' has no ladders that could be looked at.");
        var text = request.Prompt ?? throw ApiException.Invalid("prompt", "The member 'prompt' is missing.");
        return (request, model, inspection, SamplingParser.Prompt(model.Encode(text, addsSpecialTokens: true), model, options, "prompt"));
    }
}
