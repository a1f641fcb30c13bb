using System.Text.Json;
using CoFrGeNet.Configuration;
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
    private const string SentencePieceFile = "tokenizer.model";

    /// <summary>The files that say what a model's ids mean, of this and of other programs.</summary>
    internal static IReadOnlyList<string> FileNames { get; } =
    [
        HuggingFaceFile, FileName, "special_tokens_map.json", "added_tokens.json", .. Gpt2FilesReader.Names.SelectMany(names => new[] { names.Vocabulary, names.Merges }),
        SentencePieceFile, TiktokenFile, Llama2CFile, "chat_template.jinja",
    ];

    /// <summary>Writes a tokenizer, or for those that are part of the program its name, into a model folder.</summary>
    /// <param name="folder">The model folder; it must exist.</param>
    /// <param name="tokenizer">One of <see cref="Tokenizers"/>.</param>
    public static void Save(string folder, ITokenizer tokenizer) => Write(folder, tokenizer, forHuggingFace: false);

    /// <summary>Writes a tokenizer, on demand with the vocabulary of those that are part of the program, which the transformers library has not.</summary>
    internal static void Write(string folder, ITokenizer tokenizer, bool forHuggingFace)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(tokenizer);
        var content = tokenizer switch
        {
            BytePairTokenizer bytePair => bytePair.Vocabulary.File ?? HuggingFaceTokenizerWriter.Write(bytePair.Vocabulary),
            Llama2Tokenizer llama2 => llama2.File,
            Gpt2Tokenizer gpt2 when forHuggingFace => HuggingFaceTokenizerWriter.Write(gpt2.Vocabulary),
            ByteTokenizer when forHuggingFace => HuggingFaceTokenizerWriter.Write(ByteTokenizer.Vocabulary()),
            _ => null,
        };
        var isPartOfProgram = Tokenizers.Names.Contains(tokenizer.Name, StringComparer.Ordinal);
        var file = isPartOfProgram ? HuggingFaceFile : tokenizer.Name;
        if (content is not null)
        {
            DurableFile.Write(Path.Combine(folder, file), content);
        }

        DurableFile.Write(Path.Combine(folder, FileName), stream =>
        {
            using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true });
            json.WriteStartObject();
            json.WriteString("type", isPartOfProgram ? tokenizer.Name : FileType);
            json.WriteNumber("vocabularySize", tokenizer.VocabularySize);
            if (!isPartOfProgram)
            {
                json.WriteString("file", file);
            }

            if (content is not null && file == HuggingFaceFile)
            {
                // What transformers needs to make the same tokenizer of the same file.
                json.WriteString("tokenizer_class", "PreTrainedTokenizerFast");
                WriteSpecial(json, "bos_token", tokenizer, tokenizer.BeginOfTextId);
                WriteSpecial(json, "eos_token", tokenizer, tokenizer.EndOfTextId);
                json.WriteBoolean("clean_up_tokenization_spaces", false);
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
        if (!File.Exists(path))
        {
            return Tokenizers.Get(foreign ?? throw new UserErrorException(
                $"{folder} has no tokenizer that can be read; convert the model with --tokenizer PATH, where PATH is its tokenizer.json, vocab.json with merges.txt, tiktoken file or tokenizer.bin"));
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

    /// <summary>Gives the tokenizer that a model folder's configuration names.</summary>
    /// <param name="folder">The model folder.</param>
    /// <param name="config">Its configuration.</param>
    /// <returns>The tokenizer.</returns>
    /// <exception cref="UserErrorException">There is no tokenizer, it is damaged, or it has more ids than the model.</exception>
    public static ITokenizer Load(string folder, ModelFolderConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        var tokenizer = Tokenizers.Names.Contains(config.Tokenizer, StringComparer.Ordinal) ? Tokenizers.Get(config.Tokenizer) : Load(folder);
        return tokenizer.VocabularySize <= config.Model.VocabularySize
            ? tokenizer
            : throw new UserErrorException(
                $"{folder}: the tokenizer '{tokenizer.Name}' has {tokenizer.VocabularySize} ids, the model a vocabulary of {config.Model.VocabularySize}; they are not from the same model.");
    }

    /// <summary>Whether a folder holds a vocabulary, be it one that is read here or not.</summary>
    internal static bool HoldVocabulary(string folder) => ForeignFile(folder) is not null || File.Exists(Path.Combine(folder, SentencePieceFile));

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
