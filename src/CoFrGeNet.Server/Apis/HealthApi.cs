using CoFrGeNet.Client;

namespace CoFrGeNet.Server;

/// <summary><c>GET /health</c>, open to everybody, for containers and load balancers.</summary>
internal static class HealthApi
{
    /// <summary>Adds the endpoint.</summary>
    public static void Map(IEndpointRouteBuilder routes) => routes.MapGet("/health", (IHostApplicationLifetime lifetime) =>
            lifetime.ApplicationStopping.IsCancellationRequested
                ? Results.Json(new HealthReport("stopping"), ServerJson.Wire.HealthReport, statusCode: StatusCodes.Status503ServiceUnavailable)
                : Results.Json(new HealthReport("ok"), ServerJson.Wire.HealthReport))
        .WithSummary("Whether the server answers").Produces<HealthReport>();
}
