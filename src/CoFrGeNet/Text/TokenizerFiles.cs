using System.Text.Json;
using CoFrGeNet.Storage;

namespace CoFrGeNet.Text;

/// <summary>
/// Keeps with a model which tokenizer its ids come from: the file tokenizer_config.json with the members <c>type</c> ("byte", "gpt2" or "file") and
/// <c>vocabularySize</c>. The vocabularies of "byte" and "gpt2" are part of the program; of others the file lies beside it, and <c>file</c> names it.
/// </summary>
public static class TokenizerFiles
{
    /// <summary>The name of the file in a model folder.</summary>
    public const string FileName = "tokenizer_config.json";

    internal const string HuggingFaceFile = "tokenizer.json";
    internal const string TiktokenFile = "tokenizer.tiktoken";
    internal const string Llama2CFile = "tokenizer.bin";

    private const string FileType = "file";

    /// <summary>Writes a tokenizer, or for those that are part of the program its name, into a model folder.</summary>
    /// <param name="folder">The model folder; it must exist.</param>
    /// <param name="tokenizer">One of <see cref="Tokenizers"/>.</param>
    public static void Save(string folder, ITokenizer tokenizer)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(tokenizer);
        var content = tokenizer switch
        {
            BytePairTokenizer bytePair => bytePair.Vocabulary.File ?? HuggingFaceTokenizerWriter.Write(bytePair.Vocabulary),
            Llama2Tokenizer llama2 => llama2.File,
            _ => null,
        };
        if (content is not null)
        {
            DurableFile.Write(Path.Combine(folder, tokenizer.Name), content);
        }

        DurableFile.Write(Path.Combine(folder, FileName), stream =>
        {
            using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true });
            json.WriteStartObject();
            json.WriteString("type", content is null ? tokenizer.Name : FileType);
            json.WriteNumber("vocabularySize", tokenizer.VocabularySize);
            if (content is not null)
            {
                json.WriteString("file", tokenizer.Name);
            }

            if (content is not null && tokenizer.Name == HuggingFaceFile)
            {
                // What transformers needs to make the same tokenizer of the same file.
                json.WriteString("tokenizer_class", "PreTrainedTokenizerFast");
                WriteSpecial(json, "bos_token", tokenizer, tokenizer.BeginOfTextId);
                WriteSpecial(json, "eos_token", tokenizer, tokenizer.EndOfTextId);
            }

            json.WriteEndObject();
        });
    }

    /// <summary>Gives the tokenizer of a model folder, written by <see cref="Save"/> or by another program.</summary>
    /// <param name="folder">The model folder.</param>
    /// <returns>The tokenizer.</returns>
    /// <exception cref="UserErrorException">
    /// There is no tokenizer, it is damaged, or it is none that can be read.
    /// </exception>
    public static ITokenizer Load(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        var path = Path.Combine(folder, FileName);
        var foreign = ForeignFile(folder);
        if (!File.Exists(path) && foreign is not null)
        {
            return Tokenizers.Get(foreign);
        }

        try
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(path));
            if (json.RootElement.ValueKind == JsonValueKind.Object
                && json.RootElement.TryGetProperty("type", out var type)
                && type.ValueKind == JsonValueKind.String)
            {
                return type.GetString() == FileType ? Tokenizers.Get(FileBeside(json.RootElement, path)) : Tokenizers.Get(Name(type.GetString()!, path));
            }

            // Hugging Face's file of this name says nothing about ids; the vocabulary lies beside it.
            return foreign is not null
                ? Tokenizers.Get(foreign)
                : throw new UserErrorException($"{path} has no member 'type'; allowed: {string.Join(", ", Tokenizers.Names)}, or a tokenizer.json beside it");
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

    private static string? ForeignFile(string folder) => new[] { HuggingFaceFile }.Concat(Gpt2FilesReader.Names.Select(names => names.Vocabulary)).Concat([TiktokenFile, Llama2CFile])
        .Select(name => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    private static string FileBeside(JsonElement root, string path)
    {
        var name = root.TryGetProperty("file", out var member) && member.ValueKind == JsonValueKind.String ? member.GetString()! : HuggingFaceFile;
        var file = Path.Combine(Path.GetDirectoryName(path)!, name);
        return Path.GetFileName(name) == name && File.Exists(file) ? file : throw new UserErrorException($"{path} names the file '{name}', which is not beside it");
    }

    // A name, never a path: a model folder does not reach out of itself.
    private static string Name(string type, string path) => Tokenizers.Names.Contains(type, StringComparer.Ordinal)
        ? type
        : throw new UserErrorException($"{path}: type is '{type}'; allowed: {string.Join(", ", Tokenizers.Names)}, {FileType}");

    private static void WriteSpecial(Utf8JsonWriter json, string name, ITokenizer tokenizer, int? id)
    {
        if (id is { } special)
        {
            json.WriteString(name, tokenizer.GetBytes(special));
        }
    }
}
