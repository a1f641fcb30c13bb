namespace CoFrGeNet.Configuration;

/// <summary>The <c>config.json</c> of a model folder: the resolved configuration that the weights beside it belong to.</summary>
public sealed record ModelFolderConfig
{
    /// <summary>The value of <see cref="ModelType"/> that this library writes and reads.</summary>
    public const string CoFrGeNetType = "cofrgenet";

    /// <summary>What kind of model the folder holds, under the name that Hugging Face folders use for it.</summary>
    [System.Text.Json.Serialization.JsonPropertyName("model_type")]
    public string ModelType { get; init; } = CoFrGeNetType;

    /// <summary>Name of the tokenizer that goes with the vocabulary.</summary>
    public required string Tokenizer { get; init; }

    /// <summary>The model.</summary>
    public required ModelConfig Model { get; init; }
}
