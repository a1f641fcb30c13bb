using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Training;

/// <summary>
/// Where a run's configuration comes from. Later ones win: the preset's model; the file's <c>model</c>, <c>data</c> and <c>training</c>
/// members, merged over it; the recipe; the text given by itself; the overrides.
/// </summary>
public sealed record RunConfigSource
{
    private const string PresetMember = "preset";
    private const string RecipeMember = "recipe";

    /// <summary>A JSON file <c>{ preset?, recipe?, model?, data?, training? }</c>; absent: none.</summary>
    public string? File { get; init; }

    /// <summary>The content of such a file, for those that are not on disk; absent: none.</summary>
    public string? Text { get; init; }

    /// <summary>Name of a preset; absent: the file's, or none.</summary>
    public string? Preset { get; init; }

    /// <summary>Name of a recipe (<see cref="Recipes"/>); absent: the file's, or none.</summary>
    public string? Recipe { get; init; }

    /// <summary>The text, as in <see cref="DataConfig.Source"/>; absent: the file's or the default.</summary>
    public string? Data { get; init; }

    /// <summary>Overrides of the form <c>path.to.member=value</c>, applied in their order.</summary>
    public IReadOnlyList<string> Overrides { get; init; } = [];

    /// <summary>Whether nothing at all was given.</summary>
    public bool IsEmpty => File is null && Preset is null && Recipe is null && Data is null && Overrides.Count == 0;

    /// <summary>Reads, merges and checks the configuration.</summary>
    /// <exception cref="UserErrorException">
    /// The file is missing or no JSON, a member is unknown, missing or out of range, or no model is given; one line says which.
    /// </exception>
    public ResolvedRun Resolve()
    {
        var root = Text is not null ? StrictJson.Parse(Text, "the configuration") : File is null ? [] : ReadFile(File);
        var preset = Preset ?? TakeName(root, PresetMember, "tiny");
        var recipe = Recipe ?? TakeName(root, RecipeMember, Recipes.Paper);
        root.Remove(PresetMember);
        root.Remove(RecipeMember);
        if (preset is not null)
        {
            root = Merge(PresetRoot(preset), root);
        }
        else if (!root.ContainsKey("model") && !Overrides.Any(o => o.StartsWith("model=", StringComparison.Ordinal)))
        {
            throw new UserErrorException(File is null
                ? "No model is given; name a preset with --preset, for example --preset tiny, or a file with --config."
                : $"{File} has neither 'preset' nor 'model'; add one of them, for example \"preset\": \"tiny\".");
        }

        Recipes.Apply(recipe ?? Recipes.Default, root);
        ApplyOverrides(root);
        var source = File is not null && Overrides.Count == 0 ? File : "run";
        var config = StrictJson.Read(root, TrainingJsonContext.Default.RunConfig, source).Validate();
        return new ResolvedRun(preset ?? (File is null ? "run" : Path.GetFileNameWithoutExtension(File)), config);
    }

    internal static JsonObject ReadFile(string path)
    {
        if (!System.IO.File.Exists(path))
        {
            throw new UserErrorException($"There is no configuration file {path}; give a JSON file, or a preset with --preset.");
        }

        try
        {
            return StrictJson.Parse(System.IO.File.ReadAllText(path), path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"Cannot read the configuration file {path}: {e.Message}", e);
        }
    }

    private string? TakeName(JsonObject root, string member, string example) => root[member] switch
    {
        null => null,
        JsonValue value when value.TryGetValue<string>(out var name) => name,
        var other => throw new UserErrorException($"{File}: {member} is {other.ToJsonString()}; it must be a name such as \"{example}\"."),
    };

    private static JsonObject PresetRoot(string name)
    {
        var (model, tokenizer) = PresetLibrary.Get(name);
        return new JsonObject
        {
            ["model"] = JsonSerializer.SerializeToNode(model, ConfigJsonContext.Default.ModelConfig),
            ["data"] = new JsonObject { ["tokenizer"] = tokenizer },
        };
    }

    private void ApplyOverrides(JsonObject root)
    {
        if (Data is not null)
        {
            if (root["data"] is not JsonObject data)
            {
                root["data"] = data = [];
            }

            // A run is resumed from wherever the command is typed.
            data.Remove("sources");
            data["source"] = Data == DataConfig.SdkDocumentation ? Data : Path.GetFullPath(Data);
        }

        foreach (var assignment in Overrides)
        {
            if (Array.Find([PresetMember, RecipeMember], member => assignment.StartsWith(member + "=", StringComparison.Ordinal)) is { } early)
            {
                throw new UserErrorException($"--set {assignment} comes too late, since members are set on the {early}'s model; write --{early} {assignment[(early.Length + 1)..]}.");
            }

            StrictJson.Set(root, assignment);
        }

        MakePathsFull(root);
    }

    // A run is resumed from wherever the command is typed.
    private static void MakePathsFull(JsonObject root)
    {
        if (root["data"] is not JsonObject data)
        {
            return;
        }

        static bool IsText(JsonNode? node, [NotNullWhen(true)] out string? text)
        {
            text = null;
            return node is JsonValue value && value.TryGetValue(out text);
        }

        if (IsText(data["tokenizer"], out var tokenizer) && Path.Exists(tokenizer) && !CoFrGeNet.Text.Tokenizers.IsName(tokenizer))
        {
            data["tokenizer"] = Path.GetFullPath(tokenizer);
        }

        foreach (var source in (data["sources"] as JsonArray)?.OfType<JsonObject>() ?? [])
        {
            if (IsText(source["path"], out var path) && path != DataConfig.SdkDocumentation && path.Length > 0)
            {
                source["path"] = Path.GetFullPath(path);
            }
        }
    }

    // Objects are merged member by member; lists and objects of another type replace what was there.
    internal static JsonObject Merge(JsonObject under, JsonObject over)
    {
        if (over["type"] is { } type && under["type"] is { } before && !JsonNode.DeepEquals(type, before))
        {
            return (JsonObject)over.DeepClone();
        }

        foreach (var (name, value) in over)
        {
            under[name] = value is JsonObject child && under[name] is JsonObject below ? Merge((JsonObject)below.DeepClone(), child) : value?.DeepClone();
        }

        return under;
    }
}
