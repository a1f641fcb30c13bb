using System.Diagnostics;

namespace CoFrGeNet.Server;

/// <summary>Gives every request an id, which its answer, its log lines and its trace carry, and logs one line when it ends.</summary>
internal sealed partial class RequestLogMiddleware
{
    /// <summary>The header of the id.</summary>
    public const string Header = "x-request-id";

    private readonly RequestDelegate _next;
    private readonly ServerOptions _options;
    private readonly ILogger<RequestLogMiddleware> _log;

    public RequestLogMiddleware(RequestDelegate next, ServerOptions options, ILogger<RequestLogMiddleware> log)
    {
        _next = next;
        _options = options;
        _log = log;
    }

    public async Task InvokeAsync(HttpContext context)
    {
        var id = context.Request.Headers[Header].ToString() is { Length: > 0 and <= 128 } given && given.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
            ? given
            : "req-" + Guid.NewGuid().ToString("N");
        context.TraceIdentifier = id;
        context.Response.Headers[Header] = id;
        Activity.Current?.SetTag("request.id", id);
        using var scope = _log.BeginScope(new Dictionary<string, object> { ["RequestId"] = id });
        var started = Stopwatch.GetTimestamp();
        try
        {
            await _next(context).ConfigureAwait(false);
        }
        finally
        {
            if (_options.AccessLog && !HealthApi.Has(context.Request.Path) && context.Request.Path != "/metrics")
            {
                LogRequest(_log, context.Request.Method, context.Request.Path, context.Response.StatusCode, (long)Stopwatch.GetElapsedTime(started).TotalMilliseconds, id);
            }
        }
    }

    [LoggerMessage(LogLevel.Information, "{Method} {Path} {Status} {Milliseconds} ms {RequestId}")]
    private static partial void LogRequest(ILogger log, string method, string path, int status, long milliseconds, string requestId);
}
