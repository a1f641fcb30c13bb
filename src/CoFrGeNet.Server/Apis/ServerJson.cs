using System.Text.Encodings.Web;
using System.Text.Json;
using CoFrGeNet.Client;

namespace CoFrGeNet.Server;

/// <summary>The wire format as the server writes it: text that is not ASCII stays as it is, since no answer is part of a page.</summary>
internal static class ServerJson
{
    /// <summary>How values are written.</summary>
    public static WireJson Wire { get; } = new(new JsonSerializerOptions(WireJson.Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    /// <summary>The same for a writer.</summary>
    public static JsonWriterOptions Writing { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };
}
