using System.Net;
using CoFrGeNet.Client;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace CoFrGeNet.Server;

/// <summary>Puts the server together.</summary>
public static class ServerHost
{
    /// <summary>Where the description of the API lies.</summary>
    internal const string DescriptionPath = "/openapi.json";

    /// <summary>Creates a server; start it with <see cref="WebApplication.StartAsync"/>.</summary>
    /// <param name="options">How it listens and what it allows; checked already.</param>
    /// <param name="models">What it serves, one or more; the server does not dispose them.</param>
    /// <returns>The server; dispose it before the models.</returns>
    /// <exception cref="UserErrorException">There is no model, or two have one name.</exception>
    public static WebApplication Create(ServerOptions options, IReadOnlyList<ServedModel> models)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(models);
        Check(models);
        // Empty: nothing is read from files or the environment that happen to be there.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => Listen(kestrel, options));
        AddLog(builder.Logging, options);
        AddServices(builder.Services, options, models);
        builder.AddTelemetry();
        var app = builder.Build();
        app.UseMiddleware<RequestLogMiddleware>();
        app.UseMiddleware<ErrorMiddleware>();
        app.UseRouting();
        // Before the guard, so that a page of an allowed origin can read a refusal.
        app.UseCors();
        app.UseMiddleware<GuardMiddleware>();
        CompletionsApi.Map(app);
        ChatApi.Map(app);
        ModelsApi.Map(app);
        TokenizerApi.Map(app);
        LaddersApi.Map(app);
        HealthApi.Map(app);
        PageApi.Map(app);
        app.MapOpenApi(DescriptionPath);
        app.MapPrometheusScrapingEndpoint("/metrics");
        StopGently(app, options);
        return app;
    }

    private static void Check(IReadOnlyList<ServedModel> models)
    {
        if (models.Count == 0)
        {
            throw new UserErrorException("There is no model to serve; give one with --model DIR.");
        }

        if (models.GroupBy(model => model.Name).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new UserErrorException($"Two models have the name '{twice.Key}'; name them with --model NAME=DIR.");
        }
    }

    private static void Listen(KestrelServerOptions kestrel, ServerOptions options)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = options.MaxBodyBytes;
        kestrel.Limits.MaxConcurrentConnections = options.MaxConnections;
        kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(Math.Min(15, options.ReceiveSeconds));
        if (options.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase) && options.Port > 0)
        {
            kestrel.ListenLocalhost(options.Port);
        }
        else
        {
            kestrel.Listen(IPAddress.TryParse(options.Host, out var address) ? address : IPAddress.Loopback, options.Port);
        }
    }

    private static void AddLog(ILoggingBuilder log, ServerOptions options)
    {
        log.SetMinimumLevel(LogLevel.Information)
            .AddFilter("Microsoft.AspNetCore", LogLevel.Warning)
            // Broken streams are broken on purpose, and told of elsewhere.
            .AddFilter("Microsoft.AspNetCore.Server.Kestrel", LogLevel.Critical)
            .AddFilter("Microsoft.Hosting.Lifetime", LogLevel.Warning)
            // An address that cannot be listened on is told by whoever starts the server.
            .AddFilter("Microsoft.Extensions.Hosting", LogLevel.None);
        // Standard output is the tool's.
        if (options.JsonLog)
        {
            log.AddJsonConsole(console => console.IncludeScopes = true).Services.Configure<Microsoft.Extensions.Logging.Console.ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        }
        else
        {
            log.AddSimpleConsole(console => console.SingleLine = true).Services.Configure<Microsoft.Extensions.Logging.Console.ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        }
    }

    private static void AddServices(IServiceCollection services, ServerOptions options, IReadOnlyList<ServedModel> models)
    {
        services.AddRoutingCore();
        services.AddCors(cors => cors.AddDefaultPolicy(policy => policy.WithOrigins([.. options.CorsOrigins]).AllowAnyHeader().AllowAnyMethod().WithExposedHeaders(RequestLogMiddleware.Header, "Retry-After")));
        services.AddOpenApi(api => ApiDescription.Complete(api, options));
        services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.PropertyNamingPolicy = System.Text.Json.JsonNamingPolicy.SnakeCaseLower;
            json.SerializerOptions.NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.Strict;
            json.SerializerOptions.TypeInfoResolverChain.Insert(0, WireJson.Default);
        });
        services.AddSingleton(options);
        services.AddSingleton(models);
        services.AddSingleton(new ApiKeys(options.ApiKeys));
        services.AddSingleton<ServerMetrics>();
        services.AddSingleton<ModelDirectory>();
        services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(options.ShutdownSeconds + 5));
    }

    // Running requests may finish; those that have not after a while are ended cleanly.
    private static void StopGently(WebApplication app, ServerOptions options)
    {
        var directory = app.Services.GetRequiredService<ModelDirectory>();
        app.Lifetime.ApplicationStopping.Register(() =>
            _ = Task.Delay(TimeSpan.FromSeconds(options.ShutdownSeconds)).ContinueWith(_ => directory.Stop(ApiException.Stopping()), TaskScheduler.Default));
    }
}
