using System.Text.Json.Serialization;

namespace CoFrGeNet.Data;

/// <summary>Source-generated JSON of prepared folders.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(DataManifest))]
[JsonSerializable(typeof(PreparationJournal))]
[JsonSerializable(typeof(System.Text.Json.JsonElement))]
public sealed partial class DataJsonContext : JsonSerializerContext;
