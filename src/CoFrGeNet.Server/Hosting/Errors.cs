using System.Globalization;
using System.Text.Json;
using CoFrGeNet.Client;

namespace CoFrGeNet.Server;

/// <summary>Turns whatever goes wrong into an answer in OpenAI's form.</summary>
internal static class Errors
{
    /// <summary>The error that a client sees for an exception.</summary>
    /// <param name="error">What was thrown.</param>
    public static ApiException Translate(Exception error) => error switch
    {
        ApiException api => api,
        UserErrorException user => ApiException.Invalid(null, user.Message),
        JsonException json => ApiException.Invalid(Member(json.Path), JsonMessage(json)),
        BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } => new ApiException(StatusCodes.Status413PayloadTooLarge, "The body is larger than this server takes.", "body_too_large"),
        BadHttpRequestException bad => new ApiException(bad.StatusCode, "The request cannot be read: " + bad.Message),
        _ => new ApiException(StatusCodes.Status500InternalServerError, "The server made a mistake; its log has the details under this request's x-request-id.", "internal_error"),
    };

    /// <summary>The body of an error.</summary>
    /// <param name="error">The error.</param>
    public static ErrorResponse Body(ApiException error) => new(new ErrorDetail(error.Message, Type(error.Status), error.Param, error.Code));

    /// <summary>Writes an error as the whole answer.</summary>
    /// <param name="context">The request.</param>
    /// <param name="error">The error.</param>
    public static async Task WriteAsync(HttpContext context, ApiException error)
    {
        var response = context.Response;
        response.StatusCode = error.Status;
        if (error.RetryAfter is { } seconds)
        {
            response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }
        else if (error.Status >= StatusCodes.Status500InternalServerError)
        {
            // The official clients would send it twice more.
            response.Headers["x-should-retry"] = "false";
        }

        response.ContentType = "application/json";
        await response.WriteAsync(JsonSerializer.Serialize(Body(error), ServerJson.Wire.ErrorResponse), CancellationToken.None).ConfigureAwait(false);
    }

    private static string Type(int status) => status switch
    {
        StatusCodes.Status401Unauthorized or StatusCodes.Status403Forbidden => "authentication_error",
        StatusCodes.Status429TooManyRequests => "rate_limit_error",
        >= StatusCodes.Status500InternalServerError => "server_error",
        _ => "invalid_request_error",
    };

    // "$.stop[0]" becomes "stop".
    private static string? Member(string? path)
    {
        var name = path?.TrimStart('$', '.') ?? string.Empty;
        var end = name.IndexOfAny(['.', '[']);
        name = end < 0 ? name : name[..end];
        return name.Length is > 0 and < 64 ? name : null;
    }

    private static string JsonMessage(JsonException error)
    {
        // The runtime's own text names C# types and buffer offsets; only ours is for a client.
        var own = error.InnerException is null && !error.Message.Contains("could not be converted", StringComparison.Ordinal) && !error.Message.StartsWith('\'')
            ? error.Message.Split(" Path:")[0]
            : null;
        return Member(error.Path) is { } member
            ? $"The member '{member}' has a value of the wrong kind{(own is null ? " or out of range" : ": " + own)}."
            : "The body is no JSON object of the form that this address takes.";
    }
}
