using System.Net;

namespace CoFrGeNet.Server;

/// <summary>
/// What stands between the network and the endpoints: keys; and for browsers, which any page can make send requests to this machine, the rule that the Origin is our own or
/// allowed, and that a server for this machine alone is called by this machine's name (a foreign name that resolves here is an attack).
/// </summary>
internal sealed class GuardMiddleware
{
    private readonly RequestDelegate _next;
    private readonly ServerOptions _options;
    private readonly ApiKeys _keys;
    private readonly IHostApplicationLifetime _lifetime;

    public GuardMiddleware(RequestDelegate next, ServerOptions options, ApiKeys keys, IHostApplicationLifetime lifetime)
    {
        _next = next;
        _options = options;
        _keys = keys;
        _lifetime = lifetime;
    }

    public Task InvokeAsync(HttpContext context)
    {
        Harden(context.Response.Headers);
        var request = context.Request;
        if (_options.IsLoopback && !IsOwnName(request.Host.Host) && !_options.PublicNames.Contains(request.Host.Host, StringComparer.OrdinalIgnoreCase))
        {
            throw new ApiException(StatusCodes.Status403Forbidden, "This server answers to localhost and 127.0.0.1 only; it is started with --public-name NAME to answer to another name.", "wrong_host");
        }

        if (request.Headers.Origin.ToString() is { Length: > 0 } origin && !IsAllowed(origin, request))
        {
            throw new ApiException(StatusCodes.Status403Forbidden, "Pages of this origin may not call this server; it is started with --cors-origin ORIGIN to allow that.", "wrong_origin");
        }

        if (IsOpen(request.Path) || HttpMethods.IsOptions(request.Method))
        {
            return _next(context);
        }

        if (_lifetime.ApplicationStopping.IsCancellationRequested)
        {
            context.Response.Headers.Connection = "close";
            throw ApiException.Stopping();
        }

        if (!_keys.Admit(request.Headers.Authorization))
        {
            context.Response.Headers.WWWAuthenticate = "Bearer";
            throw new ApiException(StatusCodes.Status401Unauthorized, "The API key is missing or not known; send it as 'Authorization: Bearer KEY'.", "invalid_api_key");
        }

        return _next(context);
    }

    // The page and its parts and the description of the API hold nothing of worth; the rest is behind the key.
    private static bool IsOpen(PathString path) => HealthApi.Has(path) || path == "/" || path == ServerHost.DescriptionPath || path.StartsWithSegments("/page", StringComparison.Ordinal);

    private static bool IsOwnName(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));

    // The page's own address is http here and https before a proxy.
    private bool IsAllowed(string origin, HttpRequest request) =>
        origin == $"http://{request.Host}" || origin == $"https://{request.Host}" || _options.CorsOrigins.Contains(origin, StringComparer.Ordinal);

    private static void Harden(IHeaderDictionary headers)
    {
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers.ContentSecurityPolicy = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        headers.CacheControl = "no-store";
    }
}
