using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace CoFrGeNet.Server;

/// <summary>Reads bodies: JSON whatever the content type says, within a time and a size.</summary>
internal static class RequestBody
{
    /// <summary>Reads the body of a request.</summary>
    /// <param name="context">The request.</param>
    /// <param name="type">What it shall be.</param>
    /// <exception cref="ApiException">It came too slowly.</exception>
    /// <exception cref="JsonException">It is something else.</exception>
    public static async Task<T> ReadAsync<T>(HttpContext context, JsonTypeInfo<T> type)
        where T : class
    {
        var seconds = context.RequestServices.GetRequiredService<ServerOptions>().ReceiveSeconds;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        limit.CancelAfter(TimeSpan.FromSeconds(seconds));
        try
        {
            return await JsonSerializer.DeserializeAsync(context.Request.Body, type, limit.Token).ConfigureAwait(false) ?? throw new JsonException();
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            context.Response.Headers.Connection = "close";
            throw new ApiException(StatusCodes.Status408RequestTimeout, $"The body took longer than {seconds} seconds to arrive.", "timeout");
        }
    }
}
