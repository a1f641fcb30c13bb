namespace CoFrGeNet.Server;

/// <summary>Answers every failure in OpenAI's form; where an answer has begun, the connection breaks, so that no client takes it for whole.</summary>
internal sealed partial class ErrorMiddleware
{
    private readonly RequestDelegate _next;
    private readonly ILogger<ErrorMiddleware> _log;

    public ErrorMiddleware(RequestDelegate next, ILogger<ErrorMiddleware> log)
    {
        _next = next;
        _log = log;
    }

    // Whatever an endpoint throws ends here: the server stays up.
#pragma warning disable CA1031
    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            await _next(context).ConfigureAwait(false);
            if (context.Response is { StatusCode: >= 400, HasStarted: false, ContentType: null })
            {
                await Errors.WriteAsync(context, Unanswered(context)).ConfigureAwait(false);
            }
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody listens any more.
            context.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;
        }
        catch (Exception error)
        {
            var answer = Errors.Translate(error);
            if (answer.Code == "internal_error")
            {
                LogFailed(_log, error, context.Request.Method, context.Request.Path, context.TraceIdentifier);
            }

            if (context.Response.HasStarted)
            {
                // Kestrel sends what was written, then closes the connection before the body's end.
                throw;
            }

            await Errors.WriteAsync(context, answer).ConfigureAwait(false);
        }
    }
#pragma warning restore CA1031

    private static ApiException Unanswered(HttpContext context) => context.Response.StatusCode switch
    {
        StatusCodes.Status404NotFound => new ApiException(StatusCodes.Status404NotFound, $"There is no {context.Request.Method} {context.Request.Path} here.", "not_found"),
        StatusCodes.Status405MethodNotAllowed => new ApiException(StatusCodes.Status405MethodNotAllowed, $"{context.Request.Method} is not allowed on {context.Request.Path}.", "method_not_allowed"),
        var status => new ApiException(status, $"The request cannot be answered (status {status})."),
    };

    [LoggerMessage(LogLevel.Error, "{Method} {Path} failed {RequestId}")]
    private static partial void LogFailed(ILogger log, Exception error, string method, string path, string requestId);
}
