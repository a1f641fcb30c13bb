using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;
using CoFrGeNet.Data;
using CoFrGeNet.Storage;
using CoFrGeNet.Text;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Interop;

/// <summary>What a conversion writes.</summary>
public enum OutputFormat
{
    /// <summary>A model folder of this library.</summary>
    CoFrGeNet,

    /// <summary>A folder that the transformers library opens.</summary>
    HuggingFace,
}

/// <summary>How a conversion writes.</summary>
public sealed record OutputOptions
{
    /// <summary>The value of <see cref="Architecture"/> that takes the first architecture that fits.</summary>
    public const string AutoArchitecture = "auto";

    /// <summary>What is written.</summary>
    public OutputFormat Format { get; init; }

    /// <summary>For Hugging Face: gpt2, llama, cofrgenet (with the model's code in the folder), or auto.</summary>
    public string Architecture { get; init; } = AutoArchitecture;

    /// <summary>The most bytes of tensors in one file.</summary>
    public long ShardBytes { get; init; } = 5_000_000_000;

    /// <summary>For folders of this library: what the matrices are rounded to; absent: they keep their types.</summary>
    public WeightType? Quantize { get; init; }

    /// <summary>Whether an existing model folder of that name may be replaced.</summary>
    public bool Force { get; init; }
}

/// <summary>What a conversion wrote.</summary>
/// <param name="Folder">The folder.</param>
/// <param name="Architecture">The value of model_type in its config.json.</param>
/// <param name="Files">The names of its files.</param>
/// <param name="Tensors">The number of tensors.</param>
/// <param name="Bytes">The bytes of the tensors.</param>
/// <param name="Keys">Each tensor of the input and the tensors of the output that hold its values.</param>
public sealed record OutputResult(string Folder, string Architecture, IReadOnlyList<string> Files, int Tensors, long Bytes, IReadOnlyList<KeyReport> Keys);

/// <summary>Writes an opened model as a folder, reads the folder back and compares before it gets its name.</summary>
public static class ModelOutput
{
    private const string GenerationFile = "generation_config.json";
    private const string CardFile = "README.md";

    // One of these makes a folder's tokenizer complete.
    private static readonly string[] TokenizerVocabularies = ["tokenizer.json", "vocab.json", "tokenizer.model"];

    private static readonly string[] CodeFiles = ["configuration_cofrgenet.py", "modeling_cofrgenet.py"];

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Refuses a folder that must not be written to, before any work is done.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="force">Whether an existing model folder may be replaced.</param>
    /// <exception cref="UserErrorException">Something is in the way.</exception>
    public static void RequireFree(string folder, bool force)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (File.Exists(folder))
        {
            throw new UserErrorException($"{folder} is a file; give a new folder with --out.");
        }

        if (!Directory.Exists(folder) || !Directory.EnumerateFileSystemEntries(folder).Any())
        {
            return;
        }

        if (!force)
        {
            throw new UserErrorException($"{folder} exists and is not empty; give another folder with --out, or replace it with --force.");
        }

        if (!File.Exists(Path.Combine(folder, ModelFolderConfig.FileName)) || Directory.EnumerateDirectories(folder).Any())
        {
            throw new UserErrorException($"{folder} is not a model folder (a {ModelFolderConfig.FileName} and no folders within), so --force does not replace it; give another folder with --out.");
        }
    }

    /// <summary>Writes a model.</summary>
    /// <param name="input">The model; none of its keys may be refused.</param>
    /// <param name="folder">The folder to write, new unless forced.</param>
    /// <param name="options">What and how.</param>
    /// <param name="check">A further check of a folder of our own architecture before it gets its name; throws where it fails.</param>
    /// <returns>What was written.</returns>
    /// <exception cref="UserErrorException">Keys were refused, the folder is taken, or the model does not fit the architecture asked for.</exception>
    /// <exception cref="IOException">What was read back differs from what was written.</exception>
    public static OutputResult Write(ModelInput input, string folder, OutputOptions options, Action<string>? check = null)
    {
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(options);
        RequireFree(folder, options.Force);
        RequireAllKnown(input);
        RequireTokenizerFits(input);
        if (input.Folder is { } source && Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)) == Path.TrimEndingDirectorySeparator(source))
        {
            throw new UserErrorException("--out is the folder of the model itself; give another one.");
        }

        var architecture = Choose(input.Model, options);
        if (options.Quantize is not null && options.Format != OutputFormat.CoFrGeNet)
        {
            throw new UserErrorException("Quantized weights are for this tool's own engine; other programs cannot read them, so --quantize goes with --to cofrgenet only.");
        }

        using TensorSource? arranged = architecture is not null ? ArrangedTensors.Of(input.Tensors, [.. architecture.Rules(input.Model).SelectMany(rule => rule.Invert())])
            : options.Quantize is { } type ? QuantizedTensors.Of(input.Tensors, type) : null;
        var tensors = arranged ?? input.Tensors;
        AtomicDirectory.Create(folder, aside =>
        {
            WriteFiles(aside, input, tensors, architecture, options);
            Verify(aside, input, tensors, architecture, options.Quantize);
            if (architecture is null)
            {
                check?.Invoke(aside);
            }
        });
        return new OutputResult(
            folder,
            architecture?.ModelType ?? ModelFolderConfig.CoFrGeNetType,
            [.. Directory.GetFiles(folder).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)],
            tensors.Tensors.Count,
            tensors.Tensors.Sum(info => info.ByteLength),
            Keys(input, architecture));
    }

    private static void RequireAllKnown(ModelInput input)
    {
        var refused = input.Keys.Where(key => key.Outcome == KeyOutcome.Refused).ToArray();
        if (refused.Length > 0)
        {
            throw new UserErrorException(
                $"{refused.Length} of {input.Keys.Count} tensors have no place in the model, so nothing is written: {string.Join(", ", refused.Take(3).Select(key => $"'{key.Key}' ({key.Reason})"))}{(refused.Length > 3 ? ", .." : string.Empty)}.");
        }
    }

    // Null stands for our own architecture.
    private static ForeignArchitecture? Choose(ModelConfig model, OutputOptions options)
    {
        if (options.Format != OutputFormat.CoFrGeNet && model.Blocks.FirstOrDefault(block => block.TorchOnlyPart() is not null) is { } stranger)
        {
            throw new UserErrorException($"The model has {stranger.TorchOnlyPart()}, which the Python code that goes with exported folders does not know; keep it in our own format with --to cofrgenet.");
        }

        if (options.Format == OutputFormat.CoFrGeNet || options.Architecture == ModelFolderConfig.CoFrGeNetType)
        {
            return null;
        }

        if (options.Architecture == OutputOptions.AutoArchitecture)
        {
            return ForeignArchitecture.All.FirstOrDefault(candidate => candidate.Misfit(model) is null);
        }

        var named = ForeignArchitecture.All.FirstOrDefault(candidate => candidate.ModelType == options.Architecture)
            ?? throw new UserErrorException(
                $"--architecture is '{options.Architecture}'; allowed are {OutputOptions.AutoArchitecture}, {string.Join(", ", ForeignArchitecture.All.Select(a => a.ModelType))} and {ModelFolderConfig.CoFrGeNetType}.");
        return named.Misfit(model) is { } reason
            ? throw new UserErrorException($"The model is no {named.ModelType}: {reason}; use --architecture {ModelFolderConfig.CoFrGeNetType}, whose folder brings its own code.")
            : named;
    }

    private static void WriteFiles(string aside, ModelInput input, TensorSource tensors, ForeignArchitecture? architecture, OutputOptions options)
    {
        WeightFiles.Write(aside, tensors.Tensors.Select(info => TensorComparison.Entry(tensors, info)), options.ShardBytes, new Dictionary<string, string> { ["format"] = "pt" });
        WriteTokenizer(input, aside, options);
        var generation = Generation(input);
        if (generation is not null)
        {
            WriteJson(aside, GenerationFile, generation);
        }

        if (architecture is not null)
        {
            WriteJson(aside, ModelFolderConfig.FileName, HuggingFaceConfig(input, tensors, architecture, generation));
        }
        else
        {
            WriteOwnConfig(aside, input, options);
        }

        if (options.Format == OutputFormat.HuggingFace)
        {
            WriteText(aside, CardFile, ModelCard.Of(input.Model, architecture?.ModelType ?? ModelFolderConfig.CoFrGeNetType, input.Format));
        }
    }

    private static JsonObject HuggingFaceConfig(ModelInput input, TensorSource tensors, ForeignArchitecture architecture, JsonObject? generation)
    {
        var config = new JsonObject
        {
            ["architectures"] = new JsonArray(architecture.ClassName),
            ["model_type"] = architecture.ModelType,
            ["torch_dtype"] = tensors.Tensors[0].DType switch
            {
                TensorDType.BF16 => "bfloat16",
                TensorDType.F16 => "float16",
                TensorDType.F64 => "float64",
                _ => "float32",
            },
        };
        foreach (var name in new[] { "bos_token_id", "eos_token_id" })
        {
            if (generation?[name] is { } id)
            {
                config[name] = id.DeepClone();
            }
        }

        foreach (var (name, value) in architecture.Write(input.Model))
        {
            config[name] = value?.DeepClone();
        }

        return config;
    }

    private static void WriteOwnConfig(string aside, ModelInput input, OutputOptions options)
    {
        var config = new ModelFolderConfig { Tokenizer = input.Tokenizer, WeightType = options.Quantize, Model = input.Model };
        if (options.Format == OutputFormat.HuggingFace)
        {
            config = config with
            {
                Architectures = ["CoFrGeNetForCausalLM"],
                AutoMap = new Dictionary<string, string>
                {
                    ["AutoConfig"] = "configuration_cofrgenet.CoFrGeNetConfig",
                    ["AutoModelForCausalLM"] = "modeling_cofrgenet.CoFrGeNetForCausalLM",
                },
            };
            foreach (var name in CodeFiles)
            {
                using var code = typeof(ModelOutput).Assembly.GetManifestResourceStream($"CoFrGeNet.Interop.{name}")
                    ?? throw new System.Diagnostics.UnreachableException($"{name} is not embedded.");
                DurableFile.Write(Path.Combine(aside, name), code.CopyTo);
            }
        }

        DurableFile.Write(Path.Combine(aside, ModelFolderConfig.FileName), JsonSerializer.SerializeToUtf8Bytes(config, ConfigJsonContext.Default.ModelFolderConfig));
    }

    private static void WriteTokenizer(ModelInput input, string aside, OutputOptions options)
    {
        // Of two tokenizers in a folder programs would take now the one and now the other.
        foreach (var name in input.IsTokenizerGiven ? [] : TokenizerFiles.FileNames)
        {
            if (Beside(input, name) is { } path)
            {
                File.Copy(path, Path.Combine(aside, name));
            }
        }

        if (input.KnownTokenizer is not { } tokenizer)
        {
            return;
        }

        if (options.Format == OutputFormat.HuggingFace && !TokenizerVocabularies.Any(name => File.Exists(Path.Combine(aside, name))))
        {
            TokenizerFiles.Write(aside, tokenizer, forHuggingFace: true);
        }
        else if (!File.Exists(Path.Combine(aside, TokenizerFiles.FileName)))
        {
            TokenizerFiles.Save(aside, tokenizer);
        }
    }

    private static void RequireTokenizerFits(ModelInput input)
    {
        if (input.IsTokenizerGiven && input.KnownTokenizer is { } tokenizer && tokenizer.VocabularySize > input.Model.VocabularySize)
        {
            throw new UserErrorException(
                $"The tokenizer '{tokenizer.Name}' has {tokenizer.VocabularySize} ids, the model a vocabulary of {input.Model.VocabularySize}; they are not from the same model: give the model's own with --tokenizer NAME or PATH.");
        }
    }

    // As the input's folder has it, else from the ids in its config.json, else from the tokenizer.
    private static JsonObject? Generation(ModelInput input)
    {
        if (Beside(input, GenerationFile) is { } path)
        {
            return StrictJson.Parse(File.ReadAllText(path), path);
        }

        var root = Beside(input, ModelFolderConfig.FileName) is { } config ? StrictJson.Parse(File.ReadAllText(config), config) : [];
        var generation = new JsonObject();
        foreach (var name in new[] { "bos_token_id", "eos_token_id" })
        {
            if (root[name] is { } id)
            {
                generation[name] = id.DeepClone();
            }
        }

        if (generation.Count == 0 && input.KnownTokenizer is { } tokenizer)
        {
            if (tokenizer.BeginOfTextId is { } begin)
            {
                generation["bos_token_id"] = begin;
            }

            if (tokenizer.EndOfTextId is { } end)
            {
                generation["eos_token_id"] = end;
            }
        }

        return generation.Count > 0 ? generation : null;
    }

    private static string? Beside(ModelInput input, string name) =>
        input.Folder is { } folder && Path.Combine(folder, name) is var path && File.Exists(path) ? path : null;

    // Reading back goes the way that any later reader goes: from the files alone.
    private static void Verify(string aside, ModelInput input, TensorSource written, ForeignArchitecture? architecture, WeightType? quantized)
    {
        using var again = ModelInput.Open(aside, new InputOptions { Tokenizer = input.Tokenizer });
        if (ForeignArchitecture.Canonical(again.Model) != ForeignArchitecture.Canonical(input.Model))
        {
            throw new IOException($"The configuration that was written to {aside} does not read back as it was; nothing is kept.");
        }

        if (input.KnownTokenizer is { } tokenizer && TokenizerIdentity.Hash(input.Tokenizer == ModelFolderConfig.FolderTokenizer ? TokenizerFiles.Load(aside) : tokenizer) != TokenizerIdentity.Hash(tokenizer))
        {
            throw new IOException($"The tokenizer that was written to {aside} does not read back as it was; nothing is kept.");
        }

        Compare(quantized is null ? input.Tensors : written, again.Tensors);
        using var files = WeightFiles.Open(aside);
        Compare(written, files);
        if (architecture is null && quantized is null && input.Foreign is { } foreign && foreign.Rules.All(IsInvertible))
        {
            // And back to the input's own names and order.
            using var back = ArrangedTensors.Of(files, [.. foreign.Rules.SelectMany(rule => rule.Invert())]);
            foreach (var name in back.Names.Where(name => back[name].DType == foreign.Tensors[name].DType))
            {
                Require(TensorComparison.AreEqual(foreign.Tensors, name, back, name), name);
            }
        }

        static void Compare(TensorSource expected, TensorSource actual)
        {
            var different = TensorComparison.FirstDifference(expected, actual);
            Require(different is null, different ?? string.Empty);
        }

        static void Require(bool holds, string name)
        {
            if (!holds)
            {
                throw new IOException($"Tensor '{name}' does not read back bit by bit as it was written; the disk or the conversion is at fault, and nothing is kept.");
            }
        }
    }

    private static bool IsInvertible(TensorRule rule) => rule.Parts.All(part => part.View.Count == part.Shape.Aggregate(1L, (product, extent) => product * extent));

    private static List<KeyReport> Keys(ModelInput input, ForeignArchitecture? architecture)
    {
        if (architecture is null)
        {
            return [.. input.Keys];
        }

        var rules = architecture.Rules(input.Model).ToDictionary(rule => rule.Name, StringComparer.Ordinal);
        return [.. input.Keys.Select(key => key with { To = [.. key.To.SelectMany(name => rules[name].Parts.Select(part => part.Name)).Distinct()] })];
    }

    private static void WriteJson(string folder, string name, JsonObject content) => WriteText(folder, name, content.ToJsonString(Indented) + "\n");

    private static void WriteText(string folder, string name, string content) => DurableFile.Write(Path.Combine(folder, name), Encoding.UTF8.GetBytes(content));
}
