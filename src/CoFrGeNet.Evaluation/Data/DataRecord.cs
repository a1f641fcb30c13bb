using System.Globalization;
using System.Text.Json.Nodes;

namespace CoFrGeNet.Evaluation;

/// <summary>One record of a data set: named fields as JSON, and where it came from, so that a missing field can be told clearly.</summary>
/// <param name="Fields">The fields.</param>
/// <param name="Origin">File and number, for messages.</param>
public sealed record DataRecord(JsonObject Fields, string Origin)
{
    /// <summary>Whether a field is there and not null.</summary>
    /// <param name="field">Its name.</param>
    public bool Has(string field) => Fields[field] is not null;

    /// <summary>A text, or a number written as text.</summary>
    /// <param name="field">Its name.</param>
    /// <exception cref="UserErrorException">There is no such field, or it is no text.</exception>
    public string Text(string field) => Value(field).ToString();

    /// <summary>A whole number, also one written as text; true and false are 1 and 0.</summary>
    /// <param name="field">Its name.</param>
    /// <exception cref="UserErrorException">There is no such field, or it is no whole number.</exception>
    public int Integer(string field)
    {
        var text = Value(field).ToString();
        return text switch
        {
            "true" or "True" => 1,
            "false" or "False" => 0,
            _ when int.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out var number) => number,
            _ => throw new UserErrorException($"{Origin}: field '{field}' is '{text}'; allowed is a whole number."),
        };
    }

    /// <summary>A list of texts.</summary>
    /// <param name="path">Its name, or two names with a dot between for a list within an object.</param>
    /// <exception cref="UserErrorException">There is no such field, or it is no list.</exception>
    public IReadOnlyList<string> Texts(string path)
    {
        JsonNode? node = Fields;
        foreach (var name in path.Split('.'))
        {
            node = (node as JsonObject)?[name];
        }

        return node is JsonArray list
            ? [.. list.Select(entry => entry?.ToString() ?? string.Empty)]
            : throw new UserErrorException($"{Origin} has no list '{path}'; it has {Names}.");
    }

    private string Names => string.Join(", ", Fields.Select(entry => entry.Key));

    private JsonValue Value(string field) => Fields[field] as JsonValue
        ?? throw new UserErrorException($"{Origin} has no field '{field}'; it has {Names}.");
}
