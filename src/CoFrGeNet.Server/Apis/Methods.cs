namespace CoFrGeNet.Server;

/// <summary>Methods that an address answers.</summary>
internal static class Methods
{
    /// <summary>GET, and HEAD, whose answer is the same without its body: load balancers ask so.</summary>
    public static IReadOnlyList<string> Reading { get; } = [HttpMethods.Get, HttpMethods.Head];
}
