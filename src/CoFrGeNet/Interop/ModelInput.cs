using System.Globalization;
using CoFrGeNet.Configuration;
using CoFrGeNet.Data;
using CoFrGeNet.Text;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Interop;

/// <summary>What an input does not say about itself.</summary>
public sealed record InputOptions
{
    /// <summary>Number of attention heads, for checkpoints that hold tensors alone.</summary>
    public int? Heads { get; init; }

    /// <summary>Name or file of the tokenizer, as <see cref="Text.Tokenizers.Get"/> takes it; absent: the files beside the weights, without any gpt2 where the vocabulary has its size.</summary>
    public string? Tokenizer { get; init; }
}

/// <summary>
/// A model of whatever program, opened for conversion: its configuration in our terms, its tensors under our names, and what became of each
/// of its keys. Its kind is told from its content.
/// </summary>
public sealed class ModelInput : IDisposable
{
    private const int Gpt2VocabularySize = 50257;

    private readonly TensorSource _source;

    private ModelInput(TensorSource source, string format, ModelConfig model, TensorSource tensors, IReadOnlyList<KeyReport> keys)
    {
        _source = source;
        Format = format;
        Model = model;
        Tensors = tensors;
        Keys = keys;
    }

    /// <summary>What kinds of inputs are known, for people.</summary>
    public static IReadOnlyList<string> Formats { get; } =
    [
        "a CoFrGeNet model folder", "a Hugging Face folder (gpt2, llama)", "a checkpoint of the public re-implementation (.safetensors, .pt)",
        "an llm.c checkpoint (.bin)", "a llama2.c checkpoint (.bin, legacy)",
    ];

    /// <summary>What it was, for example "huggingface llama" or "llm.c".</summary>
    public string Format { get; }

    /// <summary>Its configuration.</summary>
    public ModelConfig Model { get; }

    /// <summary>Its tensors under our names, in the types that they have on disk.</summary>
    public TensorSource Tensors { get; }

    /// <summary>What became of each tensor; refused ones mean that the model cannot be converted.</summary>
    public IReadOnlyList<KeyReport> Keys { get; }

    /// <summary>The name of the tokenizer, or <see cref="ModelFolderConfig.FolderTokenizer"/>.</summary>
    public string Tokenizer { get; private init; } = ModelFolderConfig.FolderTokenizer;

    /// <summary>The tokenizer, where it was given or is part of the program; null where it is what the files in <see cref="Folder"/> make it.</summary>
    internal ITokenizer? KnownTokenizer { get; private init; }

    /// <summary>Whether the tokenizer was given, so that files beside the weights do not count.</summary>
    internal bool IsTokenizerGiven { get; private init; }

    /// <summary>The folder that may hold tokenizer files; null for formats that keep everything in one file.</summary>
    public string? Folder { get; private init; }

    /// <summary>The input's tensors under the names and in the order of its architecture, and how ours are made of them; null where they are ours.</summary>
    internal (TensorSource Tensors, IReadOnlyList<TensorRule> Rules)? Foreign { get; private init; }

    /// <summary>Opens a model.</summary>
    /// <param name="path">A file or a folder.</param>
    /// <param name="options">What it does not say about itself.</param>
    /// <returns>The open model; dispose it.</returns>
    /// <exception cref="UserErrorException">It is no model, or has parts that are not supported.</exception>
    /// <exception cref="WeightsFormatException">A file of it breaks its format.</exception>
    public static ModelInput Open(string path, InputOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= new InputOptions();
        var full = Path.GetFullPath(path);
        if (!Path.Exists(full))
        {
            throw new UserErrorException($"There is no {path}; give a file or a folder: {string.Join(", ", Formats)}.");
        }

        var isFolder = Directory.Exists(full);
        var source = isFolder ? WeightFiles.Open(full) : OpenFile(full);
        try
        {
            return Recognise(source, isFolder ? full : Path.GetDirectoryName(full)!, options);
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <summary>Closes the model's files.</summary>
    public void Dispose()
    {
        Tensors.Dispose();
        _source.Dispose();
    }

    private static TensorSource OpenFile(string path)
    {
        var start = new byte[9];
        int read;
        using (var handle = WeightFiles.OpenHandle(path))
        {
            read = RandomAccess.Read(handle, start, 0);
        }

        if (start.AsSpan().StartsWith("PK"u8) || start[0] == 0x80)
        {
            return PyTorchFile.Open(path);
        }

        return FlatTensorsFile.TryOpen(path)
            ?? (read == start.Length && start[8] == (byte)'{'
                ? SafeTensorsFile.Open(path)
                : (TensorSource?)null)
            ?? throw new UserErrorException($"{path} is none of the files that are known by their content: {string.Join(", ", Formats)}.");
    }

    private static ModelInput Recognise(TensorSource source, string folder, InputOptions options)
    {
        if (source is FlatTensorsFile flat)
        {
            var model = flat.Model.Validate();
            var rules = flat.HasRotaryPairs ? new LlamaArchitecture().Rules(model, hasRotaryPairs: true) : new Gpt2Architecture().Rules(model, isTransposed: false);
            return Build(source, flat.Format, model, RenamedTensors.Of(source, string.Empty, string.Empty), rules, _ => null, null, options);
        }

        if (PublicReimplementation.FindAnchor(source.Names) is { } prefix)
        {
            return OpenPublic(source, prefix, folder, options);
        }

        var path = Path.Combine(folder, ModelFolderConfig.FileName);
        if (!File.Exists(path))
        {
            throw new UserErrorException($"{source.Path} needs a {ModelFolderConfig.FileName} beside it that says what its tensors are; take the whole folder of the model.");
        }

        var config = ForeignConfig.Read(path);
        var type = config.Text("model_type");
        if (type == ModelFolderConfig.CoFrGeNetType)
        {
            var own = ModelFolderConfig.Read(folder);
            var (tokenizer, known) = ResolveTokenizer(options.Tokenizer ?? own.Tokenizer);
            return new ModelInput(source, type, own.Model, source, [.. source.Names.Select(name => new KeyReport(name, KeyOutcome.Mapped, [name], null))])
            {
                Tokenizer = tokenizer,
                KnownTokenizer = known,
                IsTokenizerGiven = options.Tokenizer is not null,
                Folder = folder,
            };
        }

        var architecture = ForeignArchitecture.All.FirstOrDefault(candidate => candidate.ModelType == type)
            ?? throw new UserErrorException(
                $"{path}: model_type is '{type}'; supported are {ModelFolderConfig.CoFrGeNetType}, {string.Join(", ", ForeignArchitecture.All.Select(a => a.ModelType))}.");
        return OpenHuggingFace(source, architecture, architecture.Read(config), folder, options);
    }

    private static ModelInput OpenHuggingFace(TensorSource source, ForeignArchitecture architecture, ModelConfig model, string folder, InputOptions options)
    {
        var prefix = OnlyPrefix(source, architecture.Embedding);
        var outer = prefix.EndsWith(architecture.Prefix, StringComparison.Ordinal) ? prefix[..^architecture.Prefix.Length] : prefix;
        var named = RenamedTensors.Of(source, outer, outer.Length == prefix.Length ? architecture.Prefix : string.Empty);
        return Build(source, $"huggingface {architecture.ModelType}", model, named, architecture.Rules(model), architecture.IgnoreReason, folder, options);
    }

    private static ModelInput OpenPublic(TensorSource source, string prefix, string folder, InputOptions options)
    {
        var named = RenamedTensors.Of(source, prefix, string.Empty);
        var settings = PublicSettings(source, folder);
        var heads = options.Heads ?? (settings.TryGetValue("n_head", out var given) ? (int?)given : null)
            ?? throw new UserErrorException($"{source.Path} is a checkpoint of the public re-implementation, which does not say its number of attention heads; give it with --heads N (its 82M model has 12).");
        var model = PublicReimplementation.Read(named, heads, settings.GetValueOrDefault("epsilon", PublicReimplementation.DefaultEpsilon));
        CheckSettings(source.Path, model, settings);
        return Build(source, "public re-implementation", model, named, PublicReimplementation.Rules(model, named), _ => null, folder, options);
    }

    // Its configuration may stand in a config.json, or beside the model in a .pt file; names are those of its own code.
    private static Dictionary<string, double> PublicSettings(TensorSource source, string folder)
    {
        string[] names = ["n_layer", "n_head", "n_embd", "block_size", "vocab_size", "num_ladders", "cf_depth", "epsilon"];
        var settings = new Dictionary<string, double>(StringComparer.Ordinal);
        var path = Path.Combine(folder, ModelFolderConfig.FileName);
        var config = File.Exists(path) ? ForeignConfig.Read(path) : null;
        foreach (var name in names)
        {
            var text = source.Metadata.FirstOrDefault(entry => entry.Key == name || entry.Key.EndsWith("." + name, StringComparison.Ordinal)).Value;
            if (config?.Number(name, double.NaN) is { } number && !double.IsNaN(number))
            {
                settings[name] = number;
            }
            else if (double.TryParse(text, CultureInfo.InvariantCulture, out var stored))
            {
                settings[name] = stored;
            }
        }

        return settings;
    }

    private static void CheckSettings(string path, ModelConfig model, Dictionary<string, double> settings)
    {
        var ladders = ((CffnConfig)model.Layers.First().FeedForward).Ladders;
        (string Name, double Value)[] expected =
        [
            ("n_layer", model.LayerCount), ("n_embd", model.Width), ("block_size", model.ContextLength), ("vocab_size", model.VocabularySize),
            ("num_ladders", ladders.Count), ("cf_depth", ladders.Depth),
        ];
        foreach (var (name, value) in expected)
        {
            if (settings.TryGetValue(name, out var given) && given != value)
            {
                throw new UserErrorException($"{path}: its configuration says {name} = {given}, its tensors say {value}; they are not of the same model.");
            }
        }
    }

    private static string OnlyPrefix(TensorSource source, string embedding)
    {
        var prefixes = source.Names.Where(name => name.EndsWith(embedding, StringComparison.Ordinal)).Select(name => name[..^embedding.Length]).ToArray();
        return prefixes.Length == 1
            ? prefixes[0]
            : throw new UserErrorException(
                prefixes.Length == 0
                    ? $"{source.Path} has no tensor whose name ends in '{embedding}', the token embedding that config.json promises."
                    : $"{source.Path} holds {prefixes.Length} models, at '{string.Join("', '", prefixes)}'; save the one that is meant alone.");
    }

    private static ModelInput Build(
        TensorSource source, string format, ModelConfig model, RenamedTensors named, IReadOnlyList<TensorRule> rules, Func<string, string?> ignore, string? folder, InputOptions options)
    {
        var keys = Report(source, named, model, rules, ignore);
        var (tokenizer, known) = ResolveTokenizer(options.Tokenizer ?? DefaultTokenizer(model, folder));
        return new ModelInput(source, format, model, ArrangedTensors.Of(named, rules), keys)
        {
            Foreign = (named, rules),
            Folder = folder,
            Tokenizer = tokenizer,
            KnownTokenizer = known,
            IsTokenizerGiven = options.Tokenizer is not null,
        };
    }

    // A file's tokenizer is kept in the folder that is written, so that no path is left in it.
    private static (string Name, ITokenizer? Known) ResolveTokenizer(string nameOrPath)
    {
        if (nameOrPath == ModelFolderConfig.FolderTokenizer)
        {
            return (nameOrPath, null);
        }

        var tokenizer = Tokenizers.Get(nameOrPath);
        return (Tokenizers.Names.Contains(tokenizer.Name, StringComparer.Ordinal) ? tokenizer.Name : ModelFolderConfig.FolderTokenizer, tokenizer);
    }

    // Models of other languages have GPT-2's size of vocabulary too, so files beside the weights come first.
    private static string DefaultTokenizer(ModelConfig model, string? folder)
    {
        if (model.VocabularySize != Gpt2VocabularySize)
        {
            return ModelFolderConfig.FolderTokenizer;
        }

        try
        {
            return folder is null || !TokenizerFiles.HoldVocabulary(folder) || TokenizerIdentity.Hash(TokenizerFiles.Load(folder)) == TokenizerIdentity.Hash(Gpt2Tokenizer.Instance)
                ? Gpt2Tokenizer.TokenizerName
                : ModelFolderConfig.FolderTokenizer;
        }
        catch (UserErrorException)
        {
            // The files are copied as they are; whoever needs the tokenizer hears what is wrong with them.
            return ModelFolderConfig.FolderTokenizer;
        }
    }

    private static List<KeyReport> Report(TensorSource source, RenamedTensors named, ModelConfig model, IReadOnlyList<TensorRule> rules, Func<string, string?> ignore)
    {
        var targets = rules.SelectMany(rule => rule.Parts.Select(part => (part.Name, Target: rule.Name))).ToLookup(entry => entry.Name, entry => entry.Target, StringComparer.Ordinal);
        var outcomes = new Dictionary<string, KeyReport>(StringComparer.Ordinal);
        foreach (var name in named.Names)
        {
            var key = named.Original(name);
            outcomes[key] = targets.Contains(name) ? new KeyReport(key, KeyOutcome.Mapped, [.. targets[name].Distinct()], null)
                : ignore(name) is { } reason ? new KeyReport(key, KeyOutcome.Ignored, [], reason)
                : name == ForeignArchitecture.Head && model.TiedHead ? Tied(named, key, rules)
                : new KeyReport(key, KeyOutcome.Refused, [], "no part of the architecture that the configuration describes");
        }

        return [.. source.Names.Select(key => outcomes.GetValueOrDefault(key) ?? new KeyReport(key, KeyOutcome.Ignored, [], "not in the model, for example of an optimizer"))];
    }

    private static KeyReport Tied(RenamedTensors named, string key, IReadOnlyList<TensorRule> rules)
    {
        var embedding = rules.First(rule => rule.Name == "token_embedding").Parts[0].Name;
        return TensorComparison.AreEqual(named, ForeignArchitecture.Head, named, embedding)
            ? new KeyReport(key, KeyOutcome.Ignored, [], "the head is tied and equal to the token embedding")
            : new KeyReport(key, KeyOutcome.Refused, [], "the configuration ties the head to the token embedding, but they differ");
    }
}
