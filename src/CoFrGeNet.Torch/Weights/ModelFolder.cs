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
    public const string ConfigFile = ModelFolderConfig.FileName;

    /// <summary>Name of the weights file.</summary>
    public const string WeightsFile = WeightFiles.SafeTensors;

    /// <summary>Writes a model into a folder.</summary>
    /// <param name="folder">An existing folder; files of the same names are replaced.</param>
    /// <param name="model">The model.</param>
    /// <param name="tokenizer">The tokenizer that goes with it.</param>
    public static void Save(string folder, LanguageModel model, ITokenizer tokenizer)
    {
        var name = Tokenizers.Names.Contains(tokenizer.Name) ? tokenizer.Name : ModelFolderConfig.FolderTokenizer;
        var config = new ModelFolderConfig { Tokenizer = name, Model = model.Config };
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
    public static ModelFolderConfig ReadConfig(string folder) => ModelFolderConfig.Read(folder);

    /// <summary>Reads a model folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="device">Where the model goes; null: the CPU.</param>
    /// <returns>The model in evaluation mode, and its tokenizer.</returns>
    /// <exception cref="UserErrorException">A file is missing, damaged, or does not fit the others.</exception>
    public static (LanguageModel Model, ITokenizer Tokenizer) Load(string folder, Device? device = null)
    {
        var tokenizer = TokenizerFiles.Load(folder, ReadConfig(folder));
        return (LoadModel(folder, device), tokenizer);
    }

    /// <summary>Reads the model of a folder without its tokenizer.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="device">Where the model goes; null: the CPU.</param>
    /// <returns>The model in evaluation mode.</returns>
    /// <exception cref="UserErrorException">A file is missing, damaged, or does not fit the others.</exception>
    public static LanguageModel LoadModel(string folder, Device? device = null)
    {
        var model = new LanguageModel(ReadConfig(folder).Model, device);
        try
        {
            LoadFolderWeights(folder, model);
        }
        catch
        {
            model.Dispose();
            throw;
        }

        model.eval();
        return model;
    }

    /// <summary>Reads the weights of a folder, in one file or several, into a model of the same shape.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="model">The model.</param>
    /// <exception cref="UserErrorException">A file is missing, damaged, or does not fit.</exception>
    public static void LoadFolderWeights(string folder, LanguageModel model)
    {
        RequireFloats(folder);
        using var source = OpenWeights(() => WeightFiles.Open(folder));
        Guarded(() => TensorWeights.Load(source, [.. TensorWeights.Of(model)]));
    }

    /// <summary>Checks that a folder's weights are those that its configuration needs, by names and shapes alone.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="UserErrorException">A file is missing, damaged, or does not fit the others.</exception>
    public static void CheckShapes(string folder)
    {
        using var model = new LanguageModel(ReadConfig(folder).Model, META);
        RequireFloats(folder);
        using var source = OpenWeights(() => WeightFiles.Open(folder));
        TensorWeights.CheckFit(source, [.. TensorWeights.Of(model)]);
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

        using var file = OpenWeights(() => SafeTensorsFile.Open(path));
        Guarded(() => TensorWeights.Load(file, [.. TensorWeights.Of(model)]));
    }

    private static void RequireFloats(string folder)
    {
        if (ReadConfig(folder).WeightType is { } type && type is (WeightType.Int8 or WeightType.Int4))
        {
            throw new UserErrorException(
                $"{folder}: its weights are stored as {type.ToString().ToLowerInvariant()}, which the managed engine reads and torch does not; use the folder that it was converted from.");
        }
    }

    private static T OpenWeights<T>(Func<T> open)
    {
        T? source = default;
        Guarded(() => source = open());
        return source!;
    }

    private static void Guarded(Action read)
    {
        try
        {
            read();
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
