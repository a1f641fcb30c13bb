using System.Text.Json;
using CoFrGeNet.Configuration;
using CoFrGeNet.Storage;
using CoFrGeNet.Text;
using CoFrGeNet.Weights;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// A model on disk: <c>config.json</c>, <c>model.safetensors</c>, <c>generation_config.json</c> and <c>tokenizer_config.json</c>.
/// </summary>
public static class ModelFolder
{
    /// <summary>Name of the configuration file.</summary>
    public const string ConfigFile = "config.json";

    /// <summary>Name of the weights file.</summary>
    public const string WeightsFile = "model.safetensors";

    /// <summary>Writes a model into a folder.</summary>
    /// <param name="folder">An existing folder; files of the same names are replaced.</param>
    /// <param name="model">The model.</param>
    /// <param name="tokenizer">The tokenizer that goes with it.</param>
    public static void Save(string folder, LanguageModel model, ITokenizer tokenizer)
    {
        var config = new ModelFolderConfig { Tokenizer = tokenizer.Name, Model = model.Config };
        DurableFile.Write(Path.Combine(folder, ConfigFile), JsonSerializer.SerializeToUtf8Bytes(config, ConfigJsonContext.Default.ModelFolderConfig));
        TokenizerFiles.Save(folder, tokenizer);
        SaveGenerationConfig(folder, tokenizer);
        SaveWeights(Path.Combine(folder, WeightsFile), model);
    }

    /// <summary>Writes parameters and buffers alone.</summary>
    /// <param name="path">The file.</param>
    /// <param name="model">The model.</param>
    public static void SaveWeights(string path, LanguageModel model) =>
        SafeTensorsWriter.Write(path, TensorWeights.Of(model).Select(entry => TensorWeights.Entry(entry.Name, entry.Tensor)), new Dictionary<string, string> { ["format"] = "pt" });

    /// <summary>Reads the configuration of a model folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="UserErrorException">The folder or its config.json is missing or not valid.</exception>
    public static ModelFolderConfig ReadConfig(string folder)
    {
        var path = Path.Combine(folder, ConfigFile);
        if (!File.Exists(path))
        {
            throw new UserErrorException(
                Directory.Exists(folder)
                    ? $"{folder} has no {ConfigFile}; a model folder is what training writes as RUN/final."
                    : $"There is no folder {folder}; give a model folder, for example RUN/final.");
        }

        var root = StrictJson.Parse(File.ReadAllText(path), path);
        if (root["model_type"]?.ToString() is var type && type != ModelFolderConfig.CoFrGeNetType)
        {
            throw new UserErrorException(
                $"{path}: model_type is '{type}'; only '{ModelFolderConfig.CoFrGeNetType}' can be read, give a folder that training wrote as RUN/final.");
        }

        var config = StrictJson.Read(root, ConfigJsonContext.Default.ModelFolderConfig, path);

        config.Model.Validate();
        return config;
    }

    /// <summary>Reads a model folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="device">Where the model goes; null: the CPU.</param>
    /// <returns>The model in evaluation mode, and its tokenizer.</returns>
    /// <exception cref="UserErrorException">A file is missing, damaged, or does not fit the others.</exception>
    public static (LanguageModel Model, ITokenizer Tokenizer) Load(string folder, Device? device = null)
    {
        var config = ReadConfig(folder);
        var tokenizer = TokenizerFiles.Load(folder);
        if (tokenizer.VocabularySize > config.Model.VocabularySize)
        {
            throw new UserErrorException(
                $"{folder}: the tokenizer '{tokenizer.Name}' has {tokenizer.VocabularySize} ids, the model a vocabulary of {config.Model.VocabularySize}; they are not from the same model.");
        }

        var model = new LanguageModel(config.Model, device);
        try
        {
            LoadWeights(Path.Combine(folder, WeightsFile), model);
        }
        catch
        {
            model.Dispose();
            throw;
        }

        model.eval();
        return (model, tokenizer);
    }

    /// <summary>Reads parameters and buffers into a model of the same shape.</summary>
    /// <param name="path">The file.</param>
    /// <param name="model">The model.</param>
    /// <exception cref="UserErrorException">The file is missing, damaged, or does not fit.</exception>
    public static void LoadWeights(string path, LanguageModel model)
    {
        if (!File.Exists(path))
        {
            throw new UserErrorException($"There is no {path}; a model folder needs its weights beside {ConfigFile}.");
        }

        try
        {
            using var file = SafeTensorsFile.Open(path);
            TensorWeights.Load(file, [.. TensorWeights.Of(model)]);
        }
        catch (WeightsFormatException e)
        {
            throw new UserErrorException($"{e.Message.TrimEnd('.')}; the file is damaged, take another copy.", e);
        }
    }

    private static void SaveGenerationConfig(string folder, ITokenizer tokenizer)
    {
        var content = tokenizer.EndOfTextId is { } end ? $$"""{ "eos_token_id": {{end}}, "do_sample": true }""" : """{ "do_sample": true }""";
        DurableFile.Write(Path.Combine(folder, "generation_config.json"), System.Text.Encoding.UTF8.GetBytes(content + "\n"));
    }
}
