namespace CoFrGeNet.Client;

/// <summary>The answer of <c>GET /v1/models</c>.</summary>
/// <param name="Data">The models.</param>
public sealed record ModelList(IReadOnlyList<ModelEntry> Data)
{
    /// <summary>Always <c>list</c>.</summary>
    public string Object { get; init; } = "list";
}

/// <summary>A model that is served.</summary>
public sealed record ModelEntry
{
    /// <summary>Its name.</summary>
    public required string Id { get; init; }

    /// <summary>Always <c>model</c>.</summary>
    public string Object { get; init; } = "model";

    /// <summary>When the server loaded it, in seconds since 1970.</summary>
    public required long Created { get; init; }

    /// <summary>Always <c>cofrgenet</c>.</summary>
    public string OwnedBy { get; init; } = "cofrgenet";

    /// <summary>Most tokens of prompt and text together.</summary>
    public required int MaxModelLen { get; init; }

    /// <summary>Number of parameters, or null where the server does not know.</summary>
    public long? Parameters { get; init; }

    /// <summary>Whether its ladders can be looked at.</summary>
    public bool Ladders { get; init; }
}
