using System.Reflection;

namespace CoFrGeNet.Configuration;

/// <summary>The presets that ship with the library, as JSON resources.</summary>
public static class PresetLibrary
{
    private const string ResourcePrefix = "CoFrGeNet.Presets.";

    /// <summary>
    /// Suffixes of the continued-fraction variants: f (Cffn), a (CAttnM), u (CAttnU), fa, fu (both parts replaced), and the control gate
    /// (the feed-forward without ladders, L = 0).
    /// </summary>
    public static IReadOnlyList<string> Variants { get; } = ["f", "a", "u", "fa", "fu", "gate"];

    /// <summary>Names of the transformers, from small to large.</summary>
    public static IReadOnlyList<string> BaseNames { get; } =
        ["tiny", "small", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "llama-3.2-1b", "llama-3.2-3b"];

    /// <summary>Every name that <see cref="Get"/> knows.</summary>
    public static IEnumerable<string> Names => BaseNames.SelectMany(name => Variants.Select(variant => $"{name}-{variant}").Prepend(name));

    /// <summary>Finds a preset.</summary>
    /// <param name="name">A transformer's name, or that and a variant, for example <c>gpt2-xl-f</c>.</param>
    /// <returns>The model and the name of its tokenizer.</returns>
    /// <exception cref="UserErrorException">There is no such preset; the message names the nearest one.</exception>
    public static (ModelConfig Model, string Tokenizer) Get(string name)
    {
        if (!Names.Contains(name, StringComparer.Ordinal))
        {
            throw new UserErrorException(
                $"There is no preset '{name}'; did you mean '{StrictJson.Nearest(name, Names)}'? Known are {string.Join(", ", BaseNames)}, each alone or with {string.Join(", ", Variants.Select(v => "-" + v))}.");
        }

        var baseName = BaseName(name);
        var preset = Load(baseName);
        return (preset.Build(name.Length == baseName.Length ? string.Empty : name[(baseName.Length + 1)..]), preset.Tokenizer);
    }

    /// <summary>The transformer's name inside a preset's name: <c>gpt2-xl</c> of <c>gpt2-xl-fu</c>.</summary>
    /// <param name="name">A preset's name.</param>
    public static string BaseName(string name) =>
        BaseNames.Where(known => name == known || name.StartsWith(known + "-", StringComparison.Ordinal)).MaxBy(known => known.Length) ?? name;

    /// <summary>Loads the whole preset of a transformer with what replaces its parts.</summary>
    /// <param name="baseName">One of <see cref="BaseNames"/>.</param>
    public static Preset Load(string baseName)
    {
        var assembly = typeof(PresetLibrary).Assembly;
        using var stream = OpenResource(assembly, baseName);
        using var reader = new StreamReader(stream);
        var source = $"preset {baseName}";
        return StrictJson.Read(StrictJson.Parse(reader.ReadToEnd(), source), ConfigJsonContext.Default.Preset, source);
    }

    private static Stream OpenResource(Assembly assembly, string baseName) =>
        assembly.GetManifestResourceStream($"{ResourcePrefix}{baseName}.json")
        ?? throw new InvalidOperationException($"The preset resource {baseName}.json is missing from {assembly.GetName().Name}.");
}
