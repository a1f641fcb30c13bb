using System.Diagnostics;
using System.Text.Json;
using CoFrGeNet.Data;
using CoFrGeNet.Storage;
using CoFrGeNet.Text;

namespace CoFrGeNet.Training;

/// <summary>
/// Turns text into a folder of token files with a manifest. The same options and inputs give the same files, whatever the number of threads and however often the
/// work was interrupted: files that are complete are kept, and the manifest is written last.
/// </summary>
public sealed class DataPreparation
{
    private readonly string _folder;
    private readonly PreparationOptions _options;
    private readonly int _threads;
    private readonly Action<PreparationProgress>? _progress;
    private readonly Action<string>? _notice;
    private readonly ITokenizer _tokenizer;
    private readonly string _tokenizerHash;
    private readonly int _bytesPerToken;
    private readonly int? _mark;
    private IReadOnlyList<string> _inputs = [];

    /// <summary>Checks the options.</summary>
    /// <param name="folder">The folder to write: new, empty, or that of the same preparation, finished or not.</param>
    /// <param name="options">What to read and how to write it; paths are made full, so that the work can go on from anywhere.</param>
    /// <param name="threads">How many threads encode; null for one a core.</param>
    /// <param name="progress">Hears how far it is, several times a second at most.</param>
    /// <param name="notice">Hears what the user should know before the work goes on.</param>
    /// <exception cref="UserErrorException">An option is out of range.</exception>
    public DataPreparation(string folder, PreparationOptions options, int? threads = null, Action<PreparationProgress>? progress = null, Action<string>? notice = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(options);
        _folder = folder;
        _options = options with
        {
            Inputs = [.. options.Inputs.Select(Full)],
            ValidationInputs = [.. options.ValidationInputs.Select(Full)],
            Tokenizer = Tokenizers.IsName(options.Tokenizer) ? options.Tokenizer : Path.GetFullPath(options.Tokenizer),
        };
        _threads = threads ?? Environment.ProcessorCount;
        _progress = progress;
        _notice = notice;
        _tokenizer = Tokenizers.Get(options.Tokenizer);
        _bytesPerToken = _tokenizer.VocabularySize <= ushort.MaxValue + 1 ? 2 : 4;
        _options.Check(_bytesPerToken);
        _tokenizerHash = TokenizerIdentity.Hash(_tokenizer);
        _mark = _options.Layout == TokenLayout.Llmc ? _tokenizer.BeginOfTextId ?? _tokenizer.EndOfTextId : _tokenizer.EndOfTextId;
    }

    /// <summary>Whether the folder was complete before, so that nothing was to be done.</summary>
    public bool WasComplete { get; private set; }

    /// <summary>Files that an interrupted run left complete.</summary>
    public int FilesKept { get; private set; }

    /// <summary>Prepares the text, or goes on with it.</summary>
    /// <param name="stop">Stops the work; complete files stay.</param>
    /// <returns>What was written.</returns>
    /// <exception cref="UserErrorException">An input or the folder cannot be used, or another process prepares the folder; one line says why.</exception>
    public DataManifest Run(CancellationToken stop = default)
    {
        var manifestPath = Path.Combine(_folder, DataManifest.FileName);
        if (File.Exists(manifestPath))
        {
            // Needs no lock, so that a folder that cannot be written to will do.
            return Complete();
        }

        using var held = Lock();
        if (File.Exists(manifestPath))
        {
            return Complete();
        }

        var journal = Begin();
        var feed = new DocumentFeed(_options, journal.Train, journal.Validation);
        var clock = Stopwatch.StartNew();
        using var train = new Part(this, feed, journal, isValidation: false);
        using var validation = new Part(this, feed, journal, isValidation: true);
        train.Other = validation;
        validation.Other = train;
        var reported = TimeSpan.Zero;
        new TokenizingPipeline(_tokenizer, _threads).Run(
            feed.Read(stop),
            (document, ids) =>
            {
                (document.IsValidation ? validation : train).Write(document, ids.Span);
                if (_progress is not null && clock.Elapsed - reported > TimeSpan.FromMilliseconds(100))
                {
                    reported = clock.Elapsed;
                    _progress(new PreparationProgress(feed.Documents, train.Written + validation.Written, feed.TextBytes, feed.ReadBytes, feed.InputBytes, clock.Elapsed.TotalSeconds));
                }
            },
            stop);
        train.Complete();
        validation.Complete();
        var manifest = Manifest(feed, train, validation);
        if (manifest.Train.Documents == 0)
        {
            var reasons = manifest.Sources.SelectMany(source => source.Skipped).GroupBy(entry => entry.Key, entry => entry.Value).Select(reason => $"{reason.Sum()} {reason.Key}").ToArray();
            throw new UserErrorException(
                $"no document is left to train on: {manifest.Validation.Documents} were held out, {manifest.Sources.Sum(source => source.Duplicates)} are duplicates and {manifest.Sources.Sum(source => source.Skipped.Values.Sum())} were skipped{(reasons.Length > 0 ? $" ({string.Join(", ", reasons)})" : string.Empty)}; give more text or a smaller --validation");
        }

        DurableFile.Write(manifestPath, JsonSerializer.SerializeToUtf8Bytes(manifest, DataJsonContext.Default.DataManifest));
        File.Delete(Path.Combine(_folder, PreparationJournal.FileName));
        return manifest;
    }

    private static string Full(string input) => InputFile.NamesStandardInput(input) ? input : Path.GetFullPath(input);

    private DataManifest Complete()
    {
        var manifest = PreparedData.ReadManifest(_folder);
        RequireSame(manifest.Options, manifest.Tokenizer.Hash);
        var feed = Inputs();
        if (!feed.Sources.Select(source => (source.Files, source.FileBytes)).SequenceEqual(manifest.Sources.Select(source => (source.Files, source.FileBytes))))
        {
            throw new UserErrorException($"{_folder} is complete, and its inputs have changed since; prepare them into another --out, or delete the folder first");
        }

        if (feed.Newest is { } newest && newest.Modified > File.GetLastWriteTimeUtc(Path.Combine(_folder, DataManifest.FileName)))
        {
            throw new UserErrorException($"{_folder} is complete, and {newest.Path} was written to since; prepare the inputs into another --out, or delete the folder first");
        }

        PreparedData.Open(_folder).Dispose();
        // A process that was killed after its last file leaves the journal.
        File.Delete(Path.Combine(_folder, PreparationJournal.FileName));
        WasComplete = true;
        return manifest;
    }

    private DocumentFeed Inputs() => new(_options, new PartProgress(), new PartProgress());

    private FolderLock Lock()
    {
        var journal = PreparationJournal.Read(_folder);
        if (journal is { Train.Shards.Count: 0, Validation.Shards.Count: 0 } && (journal.Options != _options || journal.TokenizerHash != _tokenizerHash))
        {
            // No file is complete, so a mistaken option may be mended.
            PreparedData.Delete(_folder);
            journal = null;
        }

        if (journal is null)
        {
            if (File.Exists(_folder) || (Directory.Exists(_folder) && Directory.EnumerateFileSystemEntries(_folder).Any(path => !PreparedData.IsLeftover(path))))
            {
                // Another process may have begun in between.
                throw new UserErrorException(FolderLock.IsHeld(_folder, PreparationJournal.LockFile)
                    ? PreparedData.BusyMessage(_folder) : $"{_folder} is not empty and holds no preparation; give another folder with --out");
            }

            // An input that is missing is told before anything is made.
            _ = Inputs();
            Directory.CreateDirectory(_folder);
        }

        return FolderLock.Take(_folder, PreparationJournal.LockFile, PreparedData.BusyMessage(_folder));
    }

    private PreparationJournal Begin()
    {
        _inputs = Inputs().InputHashes;
        DurableFile.DeletePartial(_folder);
        if (PreparationJournal.Read(_folder) is { } journal)
        {
            RequireSame(journal.Options, journal.TokenizerHash);
            TokenShardWriter.DeleteAside(_folder);
            foreach (var shard in journal.Train.Shards.Concat(journal.Validation.Shards))
            {
                using var file = TokenFile.Open(Path.Combine(_folder, shard.File), _tokenizer.VocabularySize, _bytesPerToken);
                if (file.Verify() != shard.Checksum)
                {
                    throw new UserErrorException($"{file.FilePath} is not what was written before the interruption (its checksum differs); delete {_folder} and prepare again");
                }
            }

            FilesKept = journal.Train.Shards.Count + journal.Validation.Shards.Count;
            NoticeChanges(journal);
        }
        else
        {
            journal = new PreparationJournal { Options = _options, TokenizerHash = _tokenizerHash, Inputs = _inputs, Train = new PartProgress(), Validation = new PartProgress() };
            journal.Write(_folder);
        }

        // Also where a process was killed right after it had written the journal.
        if (!File.Exists(Path.Combine(_folder, TokenizerFiles.FileName)))
        {
            TokenizerFiles.Save(_folder, _tokenizer);
        }

        return journal;
    }

    // A damaged input may have been mended, so this is no error: where the change reaches what is written, reading the inputs again finds it.
    private void NoticeChanges(PreparationJournal journal)
    {
        if (FilesKept == 0 || journal.Inputs.Count != _inputs.Count)
        {
            return;
        }

        var paths = _options.ValidationInputs.Concat(_options.Inputs);
        var changed = paths.Where((_, i) => journal.Inputs[i] != _inputs[i]).ToArray();
        if (changed.Length > 0)
        {
            _notice?.Invoke(
                $"{string.Join(", ", changed)}: files came, went or were written to since the interruption; what the {FilesKept} complete files hold is compared, and what follows is taken as it is now");
        }
    }

    private void RequireSame(PreparationOptions options, string tokenizerHash)
    {
        if (tokenizerHash != _tokenizerHash)
        {
            throw new UserErrorException($"{_folder} was prepared with another tokenizer (hash {tokenizerHash[..12]}, now {_tokenizerHash[..12]}); give another --out, or delete the folder first");
        }

        if (options == _options)
        {
            return;
        }

        using var before = JsonSerializer.SerializeToDocument(options, DataJsonContext.Default.PreparationOptions);
        using var now = JsonSerializer.SerializeToDocument(_options, DataJsonContext.Default.PreparationOptions);
        var names = before.RootElement.EnumerateObject().Concat(now.RootElement.EnumerateObject()).Select(member => member.Name).Distinct();
        string Value(JsonDocument document, string name) => document.RootElement.TryGetProperty(name, out var value) ? JsonSerializer.Serialize(value, DataJsonContext.Default.JsonElement) : "absent";
        var changed = names.Where(name => Value(before, name) != Value(now, name)).Select(name => $"{name} was {Value(before, name)} and is {Value(now, name)}");
        throw new UserErrorException($"{_folder} was prepared with other options ({string.Join("; ", changed)}); give them again, give another --out, or delete the folder first");
    }

    private DataManifest Manifest(DocumentFeed feed, Part train, Part validation) => new()
    {
        Version = DataManifest.CurrentVersion,
        Tokenizer = new ManifestTokenizer(_tokenizer.Name, _tokenizerHash, _tokenizer.VocabularySize),
        BytesPerToken = _bytesPerToken,
        DocumentMark = _mark,
        Options = _options,
        Sources = [.. feed.Sources.Select((source, i) => source with { Tokens = train.SourceTokens[i] + validation.SourceTokens[i] })],
        Train = train.Describe(),
        Validation = validation.Describe(),
    };

    /// <summary>The files of one part, and the journal of how far they are.</summary>
    private sealed class Part : IDisposable
    {
        private readonly DataPreparation _preparation;
        private readonly DocumentFeed _feed;
        private readonly bool _isValidation;
        private readonly PartProgress _before;
        private readonly TokenShardWriter _writer;
        private readonly List<ManifestShard> _shards;
        private readonly List<int> _ids = [];
        private FeedDocument? _document;
        private int _documentTokens;
        private int _documentStart;

        public Part(DataPreparation preparation, DocumentFeed feed, PreparationJournal journal, bool isValidation)
        {
            _preparation = preparation;
            _feed = feed;
            _isValidation = isValidation;
            _before = Progress = isValidation ? journal.Validation : journal.Train;
            _shards = [.. _before.Shards];
            SourceTokens = _before.SourceTokens.Count == 0 ? new long[feed.Sources.Count] : [.. _before.SourceTokens];
            _writer = new TokenShardWriter(
                preparation._folder, isValidation ? "val" : "train", preparation._options.Layout, preparation._bytesPerToken,
                preparation._options.ResolveShardTokens(), _shards.Count, Finished);
        }

        public Part? Other { get; set; }

        public long[] SourceTokens { get; }

        public long Written { get; private set; }

        private PartProgress Progress { get; set; }

        public void Write(FeedDocument document, ReadOnlySpan<int> ids)
        {
            if (_before.Shards is [.., var last] && last.Tokens < _preparation._options.ResolveShardTokens())
            {
                // Only the last file of a part is shorter, so this text was not there when that one was finished.
                throw DocumentFeed.Changed();
            }

            var (mark, isFirst) = (_preparation._mark, _preparation._options.Layout == TokenLayout.Llmc);
            _ids.Clear();
            if (mark is { } before && isFirst)
            {
                _ids.Add(before);
            }

            _ids.AddRange(ids);
            if (mark is { } after && !isFirst)
            {
                _ids.Add(after);
            }

            _document = document;
            _documentTokens = _ids.Count;
            _documentStart = document.Ordinal == _before.Documents ? _before.Offset : 0;
            var all = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_ids);
            _writer.Write(all[_documentStart..]);
            SourceTokens[document.Source] += _documentTokens;
            Written += _documentTokens - _documentStart;
        }

        public void Complete()
        {
            // What is finished now ends with the last document.
            _document = null;
            _writer.Complete();
        }

        public ManifestPart Describe()
        {
            var (documents, bytes) = _feed.Part(_isValidation);
            return new ManifestPart { Documents = documents, Bytes = bytes, Tokens = _shards.Sum(shard => shard.Tokens), Shards = _shards };
        }

        public void Dispose() => _writer.Dispose();

        private void Finished(ManifestShard shard, int consumed)
        {
            _shards.Add(shard);
            var sourceTokens = SourceTokens.ToArray();
            Progress = _document is { } document
                ? AfterPartOf(document, _documentStart + consumed, sourceTokens)
                : new PartProgress { Documents = _feed.Part(_isValidation).Documents, Chain = DocumentFeed.Spell(_feed.Chain(_isValidation)), SourceTokens = sourceTokens };
            Progress = Progress with { Shards = [.. _shards] };
            var (train, validation) = _isValidation ? (Other!.Progress, Progress) : (Progress, Other!.Progress);
            new PreparationJournal
            {
                Options = _preparation._options,
                TokenizerHash = _preparation._tokenizerHash,
                Inputs = _preparation._inputs,
                Train = train,
                Validation = validation,
            }.Write(_preparation._folder);
        }

        private PartProgress AfterPartOf(FeedDocument document, int written, long[] sourceTokens)
        {
            if (written < _documentTokens)
            {
                return new PartProgress { Documents = document.Ordinal, Offset = written, Chain = DocumentFeed.Spell(document.ChainBefore), SourceTokens = sourceTokens };
            }

            sourceTokens[document.Source] += _documentTokens;
            return new PartProgress { Documents = document.Ordinal + 1, Chain = DocumentFeed.Spell(document.ChainAfter), SourceTokens = sourceTokens };
        }
    }
}
