using CoFrGeNet.Client;

namespace CoFrGeNet.Server;

/// <summary><c>GET /health</c> and <c>GET /v1/health</c>, open to everybody, for containers and load balancers.</summary>
internal static class HealthApi
{
    private static readonly string[] Paths = ["/health", "/v1/health"];

    /// <summary>Adds the endpoints.</summary>
    public static void Map(IEndpointRouteBuilder routes)
    {
        foreach (var path in Paths)
        {
            routes.MapMethods(path, Methods.Reading, Handle).WithSummary("Whether the server answers").Produces<HealthReport>();
        }
    }

    /// <summary>Whether a path is one of these.</summary>
    /// <param name="path">A request's path.</param>
    public static bool Has(PathString path) => Paths.Contains(path.Value, StringComparer.Ordinal);

    private static IResult Handle(IHostApplicationLifetime lifetime) => lifetime.ApplicationStopping.IsCancellationRequested
        ? Results.Json(new HealthReport("stopping"), ServerJson.Wire.HealthReport, statusCode: StatusCodes.Status503ServiceUnavailable)
        : Results.Json(new HealthReport("ok"), ServerJson.Wire.HealthReport);
}
