using System.Text.Json.Serialization;

namespace CoFrGeNet.Training;

/// <summary>Source-generated JSON of runs and of their records.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    AllowOutOfOrderMetadataProperties = true,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(RunConfig))]
[JsonSerializable(typeof(CheckpointState))]
[JsonSerializable(typeof(CheckpointManifest))]
[JsonSerializable(typeof(ClassifierConfig))]
[JsonSerializable(typeof(ArmResult))]
[JsonSerializable(typeof(StudyConfig))]
[JsonSerializable(typeof(StudyResults))]
public sealed partial class TrainingJsonContext : JsonSerializerContext;
