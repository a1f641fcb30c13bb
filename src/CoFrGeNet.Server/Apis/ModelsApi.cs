using CoFrGeNet.Client;
using CoFrGeNet.ContinuedFractions;

namespace CoFrGeNet.Server;

/// <summary><c>GET /v1/models</c> and <c>GET /v1/models/{id}</c>.</summary>
internal static class ModelsApi
{
    /// <summary>Adds the endpoints.</summary>
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/models", (ModelDirectory models) => Results.Json(new ModelList([.. models.All.Select(Entry)]), ServerJson.Wire.ModelList))
            .WithSummary("Lists the models that are served").Produces<ModelList>();
        routes.MapGet("/v1/models/{id}", (string id, ModelDirectory models) => Results.Json(Entry(models.Find(id)), ServerJson.Wire.ModelEntry))
            .WithSummary("Describes a model").Produces<ModelEntry>().Produces<ErrorResponse>(StatusCodes.Status404NotFound);
    }

    private static ModelEntry Entry(ModelHost host) => new()
    {
        Id = host.Name,
        Created = host.Model.Created.ToUnixTimeSeconds(),
        MaxModelLen = host.ContextLength,
        Parameters = host.Model.Parameters,
        Ladders = host.Model.Model is ILadderInspection,
    };
}
