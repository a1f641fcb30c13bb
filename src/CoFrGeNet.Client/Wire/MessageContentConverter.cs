using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace CoFrGeNet.Client;

/// <summary>Reads a text or a list of text parts as one text.</summary>
internal sealed class MessageContentConverter : JsonConverter<string>
{
    private const string Allowed = "content must be a text or a list of parts {\"type\":\"text\",\"text\":\"..\"}";

    public override string Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            return reader.GetString()!;
        }

        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw new JsonException(Allowed);
        }

        var text = new StringBuilder();
        using var parts = JsonDocument.ParseValue(ref reader);
        foreach (var part in parts.RootElement.EnumerateArray())
        {
            text.Append(part.ValueKind == JsonValueKind.Object
                && part.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String && type.GetString() == "text"
                && part.TryGetProperty("text", out var value) && value.ValueKind == JsonValueKind.String
                    ? value.GetString()
                    : throw new JsonException(Allowed));
        }

        return text.ToString();
    }

    public override void Write(Utf8JsonWriter writer, string value, JsonSerializerOptions options) => writer.WriteStringValue(value);
}
