using System.Text.Json.Serialization;

namespace CoFrGeNet.Configuration;

/// <summary>The <c>config.json</c> of a model folder: the resolved configuration that the weights beside it belong to.</summary>
public sealed record ModelFolderConfig
{
    /// <summary>The name of the file.</summary>
    public const string FileName = "config.json";

    /// <summary>The value of <see cref="ModelType"/> that this library writes and reads.</summary>
    public const string CoFrGeNetType = "cofrgenet";

    /// <summary>The value of <see cref="Tokenizer"/> for tokenizer files that lie in the folder itself, as models of other programs have them.</summary>
    public const string FolderTokenizer = "folder";

    // What the transformers library adds when it saves a model.
    private static readonly string[] Bookkeeping = ["transformers_version", "torch_dtype", "dtype", "_name_or_path", "use_cache", "bos_token_id", "eos_token_id", "pad_token_id"];

    /// <summary>What kind of model the folder holds, under the name that Hugging Face folders use for it.</summary>
    [JsonPropertyName("model_type")]
    public string ModelType { get; init; } = CoFrGeNetType;

    /// <summary>The class in <c>modeling_cofrgenet.py</c>, in folders for the transformers library.</summary>
    public IReadOnlyList<string>? Architectures { get; init; }

    /// <summary>Where the transformers library finds the model's code in the folder.</summary>
    [JsonPropertyName("auto_map")]
    public IReadOnlyDictionary<string, string>? AutoMap { get; init; }

    /// <summary>Name of the tokenizer that goes with the vocabulary, or <see cref="FolderTokenizer"/>.</summary>
    public required string Tokenizer { get; init; }

    /// <summary>How the matrices of the weights are stored; absent: in the type that each tensor has.</summary>
    public WeightType? WeightType { get; init; }

    /// <summary>The model.</summary>
    public required ModelConfig Model { get; init; }

    /// <summary>Reads the configuration of a model folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="UserErrorException">The folder or its config.json is missing or not valid.</exception>
    public static ModelFolderConfig Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
        {
            throw new UserErrorException(
                Directory.Exists(folder)
                    ? $"{folder} has no {FileName}; a model folder is what training writes as RUN/final."
                    : $"There is no folder {folder}; give a model folder, for example RUN/final.");
        }

        var root = StrictJson.Parse(File.ReadAllText(path), path);
        if (root["model_type"]?.ToString() is var type && type != CoFrGeNetType)
        {
            throw new UserErrorException(
                $"{path}: model_type is '{type}'; only '{CoFrGeNetType}' can be used directly. 'cofrgenet convert' makes a model folder of gpt2, llama and other checkpoints.");
        }

        foreach (var name in Bookkeeping)
        {
            root.Remove(name);
        }

        var config = StrictJson.Read(root, ConfigJsonContext.Default.ModelFolderConfig, path);
        config.Model.Validate();
        return config;
    }
}
