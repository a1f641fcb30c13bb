using System.Net;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Server;

/// <summary>How the server listens, whom it answers and how much one client may ask for.</summary>
public sealed record ServerOptions
{
    /// <summary>The address to listen on: an IP address or <c>localhost</c>.</summary>
    public string Host { get; init; } = "127.0.0.1";

    /// <summary>The port; 0: any free one.</summary>
    public int Port { get; init; } = 8080;

    /// <summary>Keys of which a client must send one; empty: everybody is answered.</summary>
    public IReadOnlyList<string> ApiKeys { get; init; } = [];

    /// <summary>Whether an address that others can reach is allowed without a key.</summary>
    public bool AllowPublic { get; init; }

    /// <summary>Origins whose pages may call the API from a browser, for example <c>https://example.org</c>.</summary>
    public IReadOnlyList<string> CorsOrigins { get; init; } = [];

    /// <summary>Names other than localhost under which a server for this machine alone is called, by a proxy before it for example.</summary>
    public IReadOnlyList<string> PublicNames { get; init; } = [];

    /// <summary>Most sequences of one model that are computed at once.</summary>
    public int Slots { get; init; } = 64;

    /// <summary>Most requests of one model that wait; more are told to come again later (429).</summary>
    public int QueueLimit { get; init; } = 256;

    /// <summary>Most sequences of one request: prompts times choices.</summary>
    public int MaxChoices { get; init; } = 256;

    /// <summary>Most tokens of a prompt; absent: what the model's context holds.</summary>
    public int? MaxPromptTokens { get; init; }

    /// <summary>Most tokens to generate for a choice; absent: what the model's context holds.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Most tokens of a place whose log-probabilities a request may ask for.</summary>
    public int MaxLogprobs { get; init; } = 20;

    /// <summary>Most bytes of a request's body.</summary>
    public int MaxBodyBytes { get; init; } = 8 << 20;

    /// <summary>Most connections at once.</summary>
    public int MaxConnections { get; init; } = 1024;

    /// <summary>Most seconds until a request is answered in full.</summary>
    public int RequestSeconds { get; init; } = 300;

    /// <summary>Most seconds that a client may take to send a request.</summary>
    public int ReceiveSeconds { get; init; } = 30;

    /// <summary>Seconds that running requests have to finish once the server is asked to stop.</summary>
    public int ShutdownSeconds { get; init; } = 30;

    /// <summary>Whether log lines are JSON objects.</summary>
    public bool JsonLog { get; init; }

    /// <summary>Whether each request is a log line.</summary>
    public bool AccessLog { get; init; } = true;

    /// <summary>Whether only this machine can reach the address.</summary>
    public bool IsLoopback => Host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(Host, out var address) && IPAddress.IsLoopback(address));

    /// <summary>Checks every member.</summary>
    /// <param name="at">Knows what the user calls a member.</param>
    /// <returns>These options.</returns>
    /// <exception cref="UserErrorException">A member is out of range, or the address is public and no key is set.</exception>
    public ServerOptions Validate(ConfigCheck at)
    {
        ArgumentNullException.ThrowIfNull(at);
        at.That(IsLoopback || IPAddress.TryParse(Host, out _), "host", $"'{Host}'", "localhost or an IP address such as 127.0.0.1 or 0.0.0.0");
        at.That(Port is >= 0 and <= 65535, "port", $"{Port}", "0 (any free one) to 65535");
        at.AtLeast(Slots, 1, "slots");
        at.AtLeast(QueueLimit, 1, "queueLimit");
        at.AtLeast(MaxChoices, 1, "maxChoices");
        at.AtLeast(MaxPromptTokens ?? 1, 1, "maxPromptTokens");
        at.AtLeast(MaxTokens ?? 1, 1, "maxTokens");
        at.That(MaxLogprobs is >= 1 and <= 1000, "maxLogprobs", $"{MaxLogprobs}", "1 to 1000");
        at.AtLeast(MaxBodyBytes, 1024, "maxBodyBytes");
        at.AtLeast(MaxConnections, 1, "maxConnections");
        at.AtLeast(RequestSeconds, 1, "requestSeconds");
        at.AtLeast(ReceiveSeconds, 1, "receiveSeconds");
        at.AtLeast(ShutdownSeconds, 0, "shutdownSeconds");
        foreach (var key in ApiKeys)
        {
            // The key itself is never shown.
            at.That(key.Length >= 8 && key.All(c => c is > ' ' and < '\u007f'), "apiKey", "a key that is too short or has other signs", "8 or more visible ASCII signs without spaces");
        }

        foreach (var origin in CorsOrigins)
        {
            at.That(Uri.TryCreate(origin, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" && uri.GetLeftPart(UriPartial.Authority) == origin, "corsOrigin", $"'{origin}'", "a scheme, a host and perhaps a port, such as https://example.org");
        }

        foreach (var name in PublicNames)
        {
            at.That(Uri.CheckHostName(name) != UriHostNameType.Unknown, "publicName", $"'{name}'", "a host's name without a scheme and a port, such as llm.example.org");
        }

        return IsLoopback || ApiKeys.Count > 0 || AllowPublic
            ? this
            : throw new UserErrorException(
                $"{Host} can be reached by others, and there is no API key; set COFRGENET_API_KEY or --api-key-file FILE, listen on 127.0.0.1, or add --allow-public if everybody may use this server.");
    }
}
