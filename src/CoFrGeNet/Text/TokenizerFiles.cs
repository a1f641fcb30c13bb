using System.Text.Json;
using CoFrGeNet.Storage;

namespace CoFrGeNet.Text;

/// <summary>
/// Keeps with a model which tokenizer its ids come from: the file tokenizer_config.json with the members <c>type</c> ("byte" or
/// "gpt2") and <c>vocabularySize</c>. The vocabularies themselves are part of the program.
/// </summary>
public static class TokenizerFiles
{
    /// <summary>The name of the file in a model folder.</summary>
    public const string FileName = "tokenizer_config.json";

    /// <summary>Writes the identity of a tokenizer into a model folder.</summary>
    /// <param name="folder">The model folder; it must exist.</param>
    /// <param name="tokenizer">One of <see cref="Tokenizers"/>.</param>
    public static void Save(string folder, ITokenizer tokenizer)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(tokenizer);
        DurableFile.Write(Path.Combine(folder, FileName), stream =>
        {
            using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true });
            json.WriteStartObject();
            json.WriteString("type", tokenizer.Name);
            json.WriteNumber("vocabularySize", tokenizer.VocabularySize);
            json.WriteEndObject();
        });
    }

    /// <summary>Gives the tokenizer of a model folder.</summary>
    /// <param name="folder">The model folder.</param>
    /// <returns>The tokenizer.</returns>
    /// <exception cref="UserErrorException">
    /// The file is missing, is not what <see cref="Save"/> writes, or names an unknown tokenizer.
    /// </exception>
    public static ITokenizer Load(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        var path = Path.Combine(folder, FileName);
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(path));
            if (json.RootElement.ValueKind != JsonValueKind.Object
                || !json.RootElement.TryGetProperty("type", out var type)
                || type.ValueKind != JsonValueKind.String)
            {
                throw new UserErrorException($"{path} has no member 'type'; allowed: {string.Join(", ", Tokenizers.Names)}");
            }

            return Tokenizers.Get(type.GetString()!);
        }
        catch (JsonException e)
        {
            throw new UserErrorException($"{path} is not valid JSON: {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"cannot read the tokenizer of the model folder: {e.Message}", e);
        }
    }
}
