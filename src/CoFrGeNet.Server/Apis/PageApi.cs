using System.Reflection;

namespace CoFrGeNet.Server;

/// <summary>The page: a few files inside the program, read once. What a request names is looked up in a list; no path reaches the disk.</summary>
internal static class PageApi
{
    private const string Prefix = "CoFrGeNet.Server.Page.";

    private static readonly Dictionary<string, string> Types = new()
    {
        [".html"] = "text/html; charset=utf-8",
        [".css"] = "text/css; charset=utf-8",
        [".js"] = "text/javascript; charset=utf-8",
        [".svg"] = "image/svg+xml",
    };

    /// <summary>Adds the page at <c>/</c> and its parts at <c>/page/NAME</c>.</summary>
    public static void Map(IEndpointRouteBuilder routes)
    {
        var files = Assembly.GetExecutingAssembly().GetManifestResourceNames()
            .Where(name => name.StartsWith(Prefix, StringComparison.Ordinal))
            .ToDictionary(name => name[Prefix.Length..], Read, StringComparer.Ordinal);
        routes.MapMethods("/", Methods.Reading, () => File(files, "index.html")).ExcludeFromDescription();
        routes.MapMethods("/page/{name}", Methods.Reading, (string name) => File(files, name)).ExcludeFromDescription();
        routes.MapGet("/favicon.ico", () => File(files, "icon.svg")).ExcludeFromDescription();
    }

    private static IResult File(Dictionary<string, byte[]> files, string name) => files.TryGetValue(name, out var content)
        ? Results.Bytes(content, Types[Path.GetExtension(name)])
        : Results.NotFound();

    private static byte[] Read(string resource)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(resource)!;
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        return content;
    }
}
