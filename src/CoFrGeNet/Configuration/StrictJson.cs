using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace CoFrGeNet.Configuration;

/// <summary>
/// Reads and overrides configuration trees. Every member that the tree does not know is refused with the nearest known name,
/// since a misspelt setting that is silently dropped is a wrong model that runs.
/// </summary>
public static class StrictJson
{
    private static readonly JsonDocumentOptions DocumentOptions = new()
    {
        AllowTrailingCommas = true,
        CommentHandling = JsonCommentHandling.Skip,
        AllowDuplicateProperties = false,
    };

    /// <summary>Parses a text into a JSON object.</summary>
    /// <param name="json">The text; comments and trailing commas are allowed.</param>
    /// <param name="source">Where it came from, for messages.</param>
    /// <exception cref="UserErrorException">It is not a JSON object.</exception>
    public static JsonObject Parse(string json, string source)
    {
        try
        {
            return JsonNode.Parse(json, documentOptions: DocumentOptions) as JsonObject
                ?? throw new UserErrorException($"{source} is not a JSON object; it must start with {{ and hold named members.");
        }
        catch (JsonException e)
        {
            throw new UserErrorException($"{source} is not valid JSON: {FirstLine(e.Message)}", e);
        }
    }

    /// <summary>Turns a JSON object into a configuration, refusing unknown members.</summary>
    /// <typeparam name="T">The configuration record.</typeparam>
    /// <param name="node">The JSON object.</param>
    /// <param name="type">Its source-generated description.</param>
    /// <param name="source">Where it came from, for messages.</param>
    /// <exception cref="UserErrorException">An unknown member, a missing one, or a value of the wrong kind.</exception>
    public static T Read<T>(JsonObject node, JsonTypeInfo<T> type, string source)
    {
        node = (JsonObject)node.DeepClone();
        Complete(node, type, source);
        try
        {
            return node.Deserialize(type) ?? throw new UserErrorException($"{source} is null; a JSON object is expected.");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or NotSupportedException)
        {
            throw new UserErrorException($"{source}: {FirstLine(e.Message)}", e);
        }
    }

    /// <summary>Applies one override of the form <c>path.to.member=value</c>; list entries are reached by their index.</summary>
    /// <param name="root">The tree to change.</param>
    /// <param name="assignment">The override; the value is JSON, or else taken as a string.</param>
    /// <exception cref="UserErrorException">The override has no '=', or its path leads through something that is no object or list.</exception>
    public static void Set(JsonObject root, string assignment)
    {
        var equals = assignment.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0)
        {
            throw new UserErrorException($"--set {assignment} has no '='; write --set path.to.member=value.");
        }

        var keys = assignment[..equals].Split('.');
        JsonNode node = root;
        foreach (var key in keys[..^1])
        {
            node = Step(node, key, assignment);
        }

        var value = ParseValue(assignment[(equals + 1)..]);
        switch (node)
        {
            case JsonObject target:
                target[keys[^1]] = value;
                break;
            case JsonArray list when int.TryParse(keys[^1], out var index) && index >= 0 && index < list.Count:
                list[index] = value;
                break;
            default:
                throw NoSuchPath(assignment, keys[^1]);
        }
    }

    private static JsonNode Step(JsonNode node, string key, string assignment) => node switch
    {
        JsonObject target => target[key] ?? Insert(target, key),
        JsonArray list when int.TryParse(key, out var index) && index >= 0 && index < list.Count && list[index] is { } entry => entry,
        _ => throw NoSuchPath(assignment, key),
    };

    private static JsonObject Insert(JsonObject target, string key)
    {
        var created = new JsonObject();
        target[key] = created;
        return created;
    }

    private static UserErrorException NoSuchPath(string assignment, string key) =>
        new($"--set {assignment}: '{key}' is no member or list index there; write --set path.to.member=value, for example --set training.steps=100.");

    private static JsonNode? ParseValue(string text)
    {
        try
        {
            return JsonNode.Parse(text);
        }
        catch (JsonException)
        {
            return JsonValue.Create(text);
        }
    }

    // Refuses what the tree does not know and writes in the defaults of what is absent.
    private static void Complete(JsonNode? node, JsonTypeInfo type, string path)
    {
        switch (node)
        {
            case JsonArray list when type.ElementType is { } element:
                for (var i = 0; i < list.Count; i++)
                {
                    RefuseNull(list[i], isNullable: false, $"{path}[{i}]");
                    Complete(list[i], type.Options.GetTypeInfo(element), $"{path}[{i}]");
                }

                break;
            case JsonObject members when type.Kind == JsonTypeInfoKind.Object:
                CheckMembers(members, type, path);
                break;
            case JsonValue value when (Nullable.GetUnderlyingType(type.Type) ?? type.Type) is { IsEnum: true } choice:
                CheckChoice(value, choice, path);
                break;
            case not null when !(node is JsonObject && type.Kind == JsonTypeInfoKind.Dictionary):
                CheckKind(node, type, path);
                break;
        }
    }

    private static void CheckKind(JsonNode node, JsonTypeInfo type, string path)
    {
        try
        {
            // Objects and lists that reach this place stand where something else is expected.
            if (type.Kind == JsonTypeInfoKind.None)
            {
                node.Deserialize(type);
                return;
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
        }

        var expected = Type.GetTypeCode(Nullable.GetUnderlyingType(type.Type) ?? type.Type) switch
        {
            TypeCode.Int32 => $"a whole number up to {int.MaxValue}",
            TypeCode.Int64 => "a whole number",
            TypeCode.Double => "a number",
            TypeCode.Boolean => "true or false",
            TypeCode.String => "a text",
            _ => type.Kind == JsonTypeInfoKind.Enumerable ? "a list" : "an object with named members",
        };
        throw new UserErrorException($"{path} is {node.ToJsonString()}; allowed is {expected}.");
    }

    private static void CheckChoice(JsonValue value, Type choice, string path)
    {
        var names = Enum.GetNames(choice).Select(JsonNamingPolicy.CamelCase.ConvertName).ToArray();
        var given = value.ToString();
        if (!names.Contains(given, StringComparer.OrdinalIgnoreCase))
        {
            throw new UserErrorException($"{path} is '{given}'; did you mean '{Nearest(given, names)}'? Allowed are {string.Join(", ", names)}.");
        }
    }

    private static void CheckMembers(JsonObject members, JsonTypeInfo type, string path)
    {
        string? discriminator = null;
        if (type.PolymorphismOptions is { } polymorphism)
        {
            discriminator = polymorphism.TypeDiscriminatorPropertyName;
            type = type.Options.GetTypeInfo(ResolveDerived(members, polymorphism, path));
        }

        var known = type.Properties.ToDictionary(property => property.Name, StringComparer.Ordinal);
        foreach (var (name, value) in members)
        {
            if (name == discriminator)
            {
                continue;
            }

            if (!known.TryGetValue(name, out var property))
            {
                throw new UserErrorException(
                    $"{path} has no member '{name}'; did you mean '{Nearest(name, known.Keys)}'? Known are {string.Join(", ", known.Keys.Order(StringComparer.Ordinal))}.");
            }

            RefuseNull(value, property.IsSetNullable, $"{path}.{name}");
            if (value is not null)
            {
                Complete(value, type.Options.GetTypeInfo(property.PropertyType), $"{path}.{name}");
            }
        }

        AddDefaults(members, type);
    }

    private static void RefuseNull(JsonNode? value, bool isNullable, string path)
    {
        if (value is null && !isNullable)
        {
            throw new UserErrorException($"{path} is null; give it a value.");
        }
    }

    // Source-generated JSON gives absent init-only members the default of their type, not their initializer, so they are written in.
    // Ahead of time the constructors are kept for the records of the model's tree; those of other trees are in programs that are never trimmed.
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(ModelFolderConfig))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(Preset))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(ModelConfig))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(NormConfig))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(BlockConfig))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(AttentionConfig))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(SparseAttentionConfig))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(SynthesizerConfig))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(CAttnMConfig))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(CAttnUConfig))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(RotaryConfig))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(RotaryScalingConfig))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(MlpConfig))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(SwiGluConfig))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(CffnConfig))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(GatedLinearConfig))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(LadderConfig))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(ClampGuard))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(SmoothGuard))]
    [DynamicDependency(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor, typeof(PositiveGuard))]
    [UnconditionalSuppressMessage("Trimming", "IL2072:UnrecognizedReflectionPattern", Justification = "see above; a test walks the tree")]
    [UnconditionalSuppressMessage("Trimming", "IL2075:UnrecognizedReflectionPattern", Justification = "see above; a test walks the tree")]
    private static void AddDefaults(JsonObject members, JsonTypeInfo type)
    {
        if (type.Type.GetConstructor(Type.EmptyTypes) is null)
        {
            // A positional record: its defaults are those of its constructor, which the serializer calls.
            return;
        }

        var defaults = (JsonObject)JsonSerializer.SerializeToNode(Activator.CreateInstance(type.Type), type)!;
        foreach (var property in type.Properties.Where(property => !property.IsRequired && !members.ContainsKey(property.Name)))
        {
            if (defaults[property.Name] is { } value)
            {
                members[property.Name] = value.DeepClone();
            }
        }
    }

    private static Type ResolveDerived(JsonObject members, JsonPolymorphismOptions polymorphism, string path)
    {
        var names = polymorphism.DerivedTypes.Select(derived => (string)derived.TypeDiscriminator!).ToArray();
        var given = members[polymorphism.TypeDiscriminatorPropertyName] is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;
        if (given is null)
        {
            throw new UserErrorException($"{path} needs a member '{polymorphism.TypeDiscriminatorPropertyName}', one of {string.Join(", ", names)}.");
        }

        return polymorphism.DerivedTypes.FirstOrDefault(derived => (string)derived.TypeDiscriminator! == given).DerivedType
            ?? throw new UserErrorException(
                $"{path}.{polymorphism.TypeDiscriminatorPropertyName} is '{given}'; did you mean '{Nearest(given, names)}'? Known are {string.Join(", ", names)}.");
    }

    /// <summary>The known name with the fewest edits to what was given.</summary>
    /// <param name="given">What was given.</param>
    /// <param name="known">The known names; at least one.</param>
    public static string Nearest(string given, IEnumerable<string> known) =>
        known.MinBy(name => EditDistance(given.ToLowerInvariant(), name.ToLowerInvariant())) ?? string.Empty;

    private static int EditDistance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(substitute, 1 + Math.Min(row[j], row[j - 1]));
            }
        }

        return row[b.Length];
    }

    private static string FirstLine(string message) => message.ReplaceLineEndings("\n").Split('\n')[0];
}
