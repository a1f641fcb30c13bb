using System.Text.Json;
using System.Text.Json.Serialization;

namespace CoFrGeNet.Client;

/// <summary>Reads the four forms of a prompt.</summary>
internal sealed class PromptInputConverter : JsonConverter<PromptInput>
{
    private const string Allowed = "prompt must be a text, a list of texts, a list of token ids, or a list of lists of token ids";

    public override PromptInput Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            return PromptInput.Of(reader.GetString()!);
        }

        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw new JsonException(Allowed);
        }

        var items = new List<PromptItem>();
        var numbers = new List<int>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            switch (reader.TokenType)
            {
                case JsonTokenType.String:
                    items.Add(new PromptItem(reader.GetString(), null));
                    break;
                case JsonTokenType.Number:
                    numbers.Add(Id(ref reader));
                    break;
                case JsonTokenType.StartArray:
                    items.Add(new PromptItem(null, Ids(ref reader)));
                    break;
                default:
                    throw new JsonException(Allowed);
            }
        }

        var isMixed = (numbers.Count > 0 && items.Count > 0) || (items.Any(item => item.Text is null) && items.Any(item => item.Text is not null));
        return isMixed ? throw new JsonException(Allowed)
            : numbers.Count > 0 ? PromptInput.OfTokens(numbers)
            : new PromptInput(items, isList: true);
    }

    public override void Write(Utf8JsonWriter writer, PromptInput value, JsonSerializerOptions options)
    {
        if (value.IsList)
        {
            writer.WriteStartArray();
        }

        foreach (var item in value.Items)
        {
            if (item.Text is not null)
            {
                writer.WriteStringValue(item.Text);
                continue;
            }

            writer.WriteStartArray();
            foreach (var id in item.Tokens!)
            {
                writer.WriteNumberValue(id);
            }

            writer.WriteEndArray();
        }

        if (value.IsList)
        {
            writer.WriteEndArray();
        }
    }

    private static List<int> Ids(ref Utf8JsonReader reader)
    {
        var ids = new List<int>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            ids.Add(reader.TokenType == JsonTokenType.Number ? Id(ref reader) : throw new JsonException(Allowed));
        }

        return ids;
    }

    private static int Id(ref Utf8JsonReader reader) => reader.TryGetInt32(out var id) ? id : throw new JsonException(Allowed);
}
