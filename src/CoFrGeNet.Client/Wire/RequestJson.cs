using System.Text.Json.Serialization;

namespace CoFrGeNet.Client;

/// <summary>Requests as a client writes them: members that are null are left out.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(CompletionRequest))]
internal sealed partial class RequestJson : JsonSerializerContext;
