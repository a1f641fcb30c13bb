using CoFrGeNet.Data;
using CoFrGeNet.Text;

namespace CoFrGeNet.Training;

/// <summary>A text that was loaded.</summary>
/// <param name="Train">Training tokens.</param>
/// <param name="Validation">Held-out tokens; null: it has none of its own.</param>
/// <param name="Description">One line that says what the text is.</param>
internal sealed record LoadedText(ITokenSequence Train, ITokenSequence? Validation, string Description);

/// <summary>
/// Loads texts by what lies at their path: a prepared folder, token files of others, or text that is tokenized now. Prepared texts stay on the disk, mapped into
/// memory for as long as the process lives.
/// </summary>
internal sealed class TextLoader
{
    private readonly DataConfig _config;

    /// <summary>Prepares to load.</summary>
    /// <param name="config">How texts are cut.</param>
    /// <param name="tokenizer">What encodes them.</param>
    public TextLoader(DataConfig config, ITokenizer tokenizer)
    {
        _config = config;
        Tokenizer = tokenizer;
    }

    /// <summary>What encodes the texts.</summary>
    public ITokenizer Tokenizer { get; }

    /// <summary>Loads a text to train on.</summary>
    /// <exception cref="UserErrorException">It is missing, damaged, or of another tokenizer.</exception>
    public LoadedText Load(string path)
    {
        if (path != DataConfig.SdkDocumentation && PreparedData.IsPrepared(path))
        {
            var data = OpenPrepared(path);
            return data.Train.Count > 0
                ? new LoadedText(data.Train, data.Validation.Count > 0 ? data.Validation : null, $"prepared text at {Path.GetFullPath(path)}")
                : throw new UserErrorException($"{path} has no training part; prepare it with a smaller --validation");
        }

        if (TokenFiles(path) is var (train, validation))
        {
            return new LoadedText(
                TokenShards.OpenBare(train, Tokenizer, _config.VerifyFiles),
                validation.Count > 0 ? TokenShards.OpenBare(validation, Tokenizer, _config.VerifyFiles) : null,
                $"token files at {Path.GetFullPath(path)}");
        }

        var corpus = Corpus(path);
        if (_config.ValidationSource is not null)
        {
            return new LoadedText(TokenizedCorpus.Create([.. corpus.ReadDocuments()], Tokenizer), null, corpus.Description);
        }

        var split = DocumentSplit.Create(corpus.ReadDocuments(), _config.ValidationFraction, (ulong)_config.SplitSeed);
        return new LoadedText(TokenizedCorpus.Create(split.Training, Tokenizer), TokenizedCorpus.Create(split.Validation, Tokenizer), corpus.Description);
    }

    /// <summary>Loads a text for validation alone: the validation part of a prepared one, or else all of it.</summary>
    /// <exception cref="UserErrorException">It is missing, damaged, or of another tokenizer.</exception>
    public ITokenSequence LoadHeldOut(string path)
    {
        if (path != DataConfig.SdkDocumentation && PreparedData.IsPrepared(path))
        {
            var data = OpenPrepared(path);
            return data.Validation.Count > 0 ? data.Validation : data.Train;
        }

        if (TokenFiles(path) is var (train, validation))
        {
            // A single file is what was meant, whatever its name.
            return TokenShards.OpenBare(File.Exists(path) ? [path] : validation.Count > 0 ? validation : train, Tokenizer, _config.VerifyFiles);
        }

        return TokenizedCorpus.Create([.. Corpus(path).ReadDocuments()], Tokenizer);
    }

    private static ICorpus Corpus(string path) => path == DataConfig.SdkDocumentation ? new SdkDocumentationCorpus() : new TextFilesCorpus(path);

    private PreparedData OpenPrepared(string path)
    {
        var manifest = PreparedData.ReadManifest(path);
        var hash = TokenizerIdentity.Hash(Tokenizer);
        return hash == manifest.Tokenizer.Hash
            ? PreparedData.Open(path, _config.VerifyFiles)
            : throw new UserErrorException(
                $"{path} was prepared with the tokenizer {manifest.Tokenizer.Name} (hash {manifest.Tokenizer.Hash[..12]}), and data.tokenizer is {_config.Tokenizer} (hash {hash[..12]}); "
                + $"train with --set data.tokenizer={(Tokenizers.IsName(manifest.Tokenizer.Name) ? manifest.Tokenizer.Name : path)} --set model.vocabularySize={manifest.Tokenizer.VocabularySize}, or prepare the text with --tokenizer {_config.Tokenizer}");
    }

    // Token files that no manifest describes: llm.c's and fineweb's shards, told apart by their names, or nanoGPT's train.bin with val.bin beside it.
    private static (IReadOnlyList<string> Train, IReadOnlyList<string> Validation)? TokenFiles(string path)
    {
        if (File.Exists(path) && path.EndsWith(".bin", StringComparison.OrdinalIgnoreCase))
        {
            var name = Path.GetFileName(path);
            var beside = name.Contains("train", StringComparison.Ordinal)
                ? Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, name.Replace("train", "val", StringComparison.Ordinal)) : null;
            return ([path], beside is not null && File.Exists(beside) ? [beside] : []);
        }

        if (!Directory.Exists(path))
        {
            return null;
        }

        var files = Directory.GetFiles(path, "*.bin").OrderBy(file => file, StringComparer.Ordinal).ToArray();
        string[] Named(string part) => [.. files.Where(file => Path.GetFileName(file).Contains(part, StringComparison.OrdinalIgnoreCase))];
        return Named("train") is { Length: > 0 } train ? (train, Named("val")) : null;
    }
}
