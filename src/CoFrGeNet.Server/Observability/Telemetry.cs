using Microsoft.Extensions.Configuration;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace CoFrGeNet.Server;

/// <summary>OpenTelemetry: metrics for Prometheus, and both metrics and traces where the usual variable OTEL_EXPORTER_OTLP_ENDPOINT says where to send them. The other variables of that kind hold too.</summary>
internal static class Telemetry
{
    private const string Prefix = "OTEL_";
    private const string EndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";
    private const string NameVariable = "OTEL_SERVICE_NAME";

    /// <summary>Adds both.</summary>
    /// <exception cref="UserErrorException">The variable holds no address.</exception>
    public static void AddTelemetry(this WebApplicationBuilder builder)
    {
        // The exporter reads its settings from the configuration, which is empty but for these.
        builder.Configuration.AddInMemoryCollection(Variables());
        var sends = Sends();
        var telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService(Environment.GetEnvironmentVariable(NameVariable) is { Length: > 0 } name ? name : "cofrgenet"))
            .WithMetrics(metrics =>
            {
                metrics.AddMeter(ServerMetrics.SourceName).AddAspNetCoreInstrumentation().AddPrometheusExporter();
                if (sends)
                {
                    metrics.AddOtlpExporter();
                }
            });
        if (sends)
        {
            telemetry.WithTracing(traces => traces.AddSource(ServerMetrics.SourceName).AddAspNetCoreInstrumentation().AddOtlpExporter());
        }
    }

    private static bool Sends()
    {
        var endpoint = Environment.GetEnvironmentVariable(EndpointVariable);
        return string.IsNullOrWhiteSpace(endpoint) ? false
            : Uri.TryCreate(endpoint, UriKind.Absolute, out var address) && address.Scheme is "http" or "https" ? true
            : throw new UserErrorException($"{EndpointVariable} is '{endpoint}'; allowed is an address such as http://127.0.0.1:4317, or nothing.");
    }

    private static IEnumerable<KeyValuePair<string, string?>> Variables() => Environment.GetEnvironmentVariables().Cast<System.Collections.DictionaryEntry>()
        .Select(entry => KeyValuePair.Create((string)entry.Key, (string?)entry.Value))
        .Where(pair => pair.Key.StartsWith(Prefix, StringComparison.Ordinal) && !string.IsNullOrWhiteSpace(pair.Value));
}
