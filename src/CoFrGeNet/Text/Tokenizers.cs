using System.Collections.Concurrent;
using System.IO.Compression;

namespace CoFrGeNet.Text;

/// <summary>The tokenizers by name or file.</summary>
public static class Tokenizers
{
    private const string Llama3Name = "llama3";

    private static readonly ConcurrentDictionary<(string Path, DateTime Written), Lazy<ITokenizer>> Files = new();

    /// <summary>The names that <see cref="Get"/> knows without a file.</summary>
    public static IReadOnlyList<string> Names { get; } = [ByteTokenizer.TokenizerName, Gpt2Tokenizer.TokenizerName];

    /// <summary>Whether this is the name of a tokenizer rather than the path of one.</summary>
    /// <param name="nameOrPath">What <see cref="Get"/> takes.</param>
    public static bool IsName(string nameOrPath) => nameOrPath == Llama3Name || Names.Contains(nameOrPath, StringComparer.Ordinal);

    /// <summary>Gives the tokenizer of a name or a file; tokenizers are shared, so a second call costs nothing.</summary>
    /// <param name="nameOrPath">
    /// "byte" or "gpt2"; or the path of a Hugging Face tokenizer.json, of a vocab.json or encoder.json with its merges beside it, of a tiktoken rank file,
    /// of llama2.c's tokenizer.bin, a gzip of one, or of a folder that holds one (a model or a prepared text).
    /// </param>
    /// <returns>The tokenizer.</returns>
    /// <exception cref="UserErrorException">No tokenizer has this name, or the file is missing, damaged or of an unsupported kind.</exception>
    public static ITokenizer Get(string nameOrPath)
    {
        ArgumentNullException.ThrowIfNull(nameOrPath);
        switch (nameOrPath)
        {
            case ByteTokenizer.TokenizerName:
                return ByteTokenizer.Instance;
            case Gpt2Tokenizer.TokenizerName:
                return Gpt2Tokenizer.Instance;
        }

        if (Directory.Exists(nameOrPath))
        {
            return TokenizerFiles.Load(nameOrPath);
        }

        if (!File.Exists(nameOrPath))
        {
            throw new UserErrorException(nameOrPath == Llama3Name
                ? "the vocabulary of the tokenizer 'llama3' is not part of this program, since it has a licence of its own; give the path of tokenizer.json "
                    + "(or of the tiktoken file tokenizer.model) from a Llama 3 model, for example --set data.tokenizer=PATH/tokenizer.json"
                : $"tokenizer '{nameOrPath}' is not known; allowed: {string.Join(", ", Names)}, or the path of a tokenizer.json, a vocab.json with merges.txt, or a tiktoken file");
        }

        var path = Path.GetFullPath(nameOrPath);
        return Files.GetOrAdd((path, File.GetLastWriteTimeUtc(path)), key => new Lazy<ITokenizer>(() => Read(key.Path))).Value;
    }

    private static ITokenizer Read(string path)
    {
        var name = Path.GetFileName(path);
        foreach (var (vocabulary, merges) in Gpt2FilesReader.Names)
        {
            if (name == vocabulary || name == merges)
            {
                var folder = Path.GetDirectoryName(path)!;
                return Gpt2FilesReader.Read(ReadFile(Path.Combine(folder, vocabulary)), ReadFile(Path.Combine(folder, merges)), Path.Combine(folder, vocabulary));
            }
        }

        var content = ReadFile(path);
        if (content.AsSpan().TrimStart(" \t\r\n"u8) is [(byte)'{', ..])
        {
            return HuggingFaceTokenizerReader.Read(content, path);
        }

        return TiktokenReader.IsRankFile(content) ? TiktokenReader.Read(content, path)
            : Llama2Tokenizer.IsExport(content) ? new Llama2Tokenizer(content, path)
            : throw new UserErrorException(
                $"{path} is no tokenizer that can be read; allowed are tokenizer.json of Hugging Face, vocab.json with merges.txt, tiktoken's rank files and llama2.c's tokenizer.bin");
    }

    private static byte[] ReadFile(string path)
    {
        try
        {
            var content = File.ReadAllBytes(path);
            if (content is not [0x1f, 0x8b, ..])
            {
                return content;
            }

            using var unpacked = new MemoryStream();
            using var gzip = new GZipStream(new MemoryStream(content), CompressionMode.Decompress);
            gzip.CopyTo(unpacked);
            return unpacked.ToArray();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new UserErrorException($"cannot read the tokenizer file {path}: {e.Message}", e);
        }
    }
}
