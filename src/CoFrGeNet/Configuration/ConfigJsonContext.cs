using System.Text.Json.Serialization;

namespace CoFrGeNet.Configuration;

/// <summary>Source-generated JSON for the configuration tree: camelCase, enums by name, absent optional members left out.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    AllowOutOfOrderMetadataProperties = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ModelConfig))]
[JsonSerializable(typeof(Preset))]
[JsonSerializable(typeof(ModelFolderConfig))]
public sealed partial class ConfigJsonContext : JsonSerializerContext;
