using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace CoFrGeNet.Server;

/// <summary>OpenTelemetry: metrics for Prometheus, and traces where the usual variable OTEL_EXPORTER_OTLP_ENDPOINT says where to send them.</summary>
internal static class Telemetry
{
    private const string EndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";

    /// <summary>Adds both.</summary>
    public static void AddTelemetry(this WebApplicationBuilder builder)
    {
        var endpoint = Environment.GetEnvironmentVariable(EndpointVariable);
        var telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService("cofrgenet"))
            .WithMetrics(metrics =>
            {
                metrics.AddMeter(ServerMetrics.SourceName).AddAspNetCoreInstrumentation().AddPrometheusExporter();
                if (endpoint is not null)
                {
                    metrics.AddOtlpExporter(exporter => exporter.Endpoint = new Uri(endpoint));
                }
            });
        if (endpoint is not null)
        {
            telemetry.WithTracing(traces => traces.AddSource(ServerMetrics.SourceName).AddAspNetCoreInstrumentation().AddOtlpExporter(exporter => exporter.Endpoint = new Uri(endpoint)));
        }
    }
}
