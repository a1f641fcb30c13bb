namespace CoFrGeNet.Client;

/// <summary>The answer of <c>GET /health</c>.</summary>
/// <param name="Status"><c>ok</c>, or <c>stopping</c> with status 503.</param>
public sealed record HealthReport(string Status);
