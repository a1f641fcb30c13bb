using CoFrGeNet.Client;

namespace CoFrGeNet.Server;

/// <summary><c>GET /v1/models</c> and <c>GET /v1/models/{id}</c>.</summary>
internal static class ModelsApi
{
    /// <summary>Adds the endpoints.</summary>
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/v1/models", Methods.Reading, (ModelDirectory models) => Results.Json(new ModelList([.. models.All.Select(Entry)]), ServerJson.Wire.ModelList))
            .WithName("listModels").WithSummary("Lists the models that are served").Produces<ModelList>();
        // A name may have a slash in it; clients send it as it is or escaped.
        routes.MapMethods("/v1/models/{**id}", Methods.Reading, (string id, ModelDirectory models) => Results.Json(Entry(models.Find(Uri.UnescapeDataString(id))), ServerJson.Wire.ModelEntry))
            .WithName("getModel").WithSummary("Describes a model").Produces<ModelEntry>().Produces<ErrorResponse>(StatusCodes.Status404NotFound);
    }

    private static ModelEntry Entry(ModelHost host) => new()
    {
        Id = host.Name,
        Created = host.Model.Created.ToUnixTimeSeconds(),
        MaxModelLen = host.ContextLength,
        Parameters = host.Model.Parameters,
        Ladders = host.Model.Ladders is not null,
    };
}
