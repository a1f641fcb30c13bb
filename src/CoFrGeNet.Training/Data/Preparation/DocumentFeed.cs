using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text;
using CoFrGeNet.Data;
using CoFrGeNet.Text;

namespace CoFrGeNet.Training;

/// <summary>A document on its way to the files.</summary>
/// <param name="Text">The text.</param>
/// <param name="Source">Number of its source.</param>
/// <param name="IsValidation">Which part it belongs to.</param>
/// <param name="Ordinal">Its number in that part.</param>
/// <param name="ChainBefore">Hash of the texts of that part before it.</param>
/// <param name="ChainAfter">The same with it.</param>
internal sealed record FeedDocument(string Text, int Source, bool IsValidation, long Ordinal, ulong ChainBefore, ulong ChainAfter);

/// <summary>
/// Reads all inputs in their order: drops duplicates, decides which part a document belongs to, counts, and leaves out what an interrupted run has written.
/// Everything that depends on order happens here, on one thread.
/// </summary>
internal sealed class DocumentFeed
{
    private const int MostExamples = 10;

    private readonly PreparationOptions _options;
    private readonly ManifestSource[] _sources;
    private readonly IReadOnlyList<InputFile>[] _files;
    private readonly DuplicateFilter _seen = new();
    private readonly PartProgress[] _written;
    private readonly long[] _documents = new long[2];
    private readonly long[] _bytes = new long[2];
    private readonly ulong[] _chains = new ulong[2];
    private readonly bool[] _isChecked = new bool[2];
    private long _finishedBytes;
    private DocumentReader? _reader;

    /// <summary>Finds the inputs.</summary>
    /// <param name="options">What to read.</param>
    /// <param name="train">What of the training part is written.</param>
    /// <param name="validation">What of the validation part is written.</param>
    /// <exception cref="UserErrorException">An input is missing.</exception>
    public DocumentFeed(PreparationOptions options, PartProgress train, PartProgress validation)
    {
        _options = options;
        _written = [train, validation];
        // Validation comes first, so that a document given in both is left to it.
        var inputs = options.ValidationInputs.Select(path => (Path: path, IsValidation: true)).Concat(options.Inputs.Select(path => (Path: path, IsValidation: false))).ToArray();
        if (inputs.Count(input => InputFile.NamesStandardInput(input.Path)) > 1)
        {
            throw new UserErrorException("standard input is given twice; it can be read once");
        }

        _files = [.. inputs.Select(input => InputFile.Find(input.Path))];
        _sources = [.. inputs.Select((input, i) => new ManifestSource
        {
            Path = input.Path, IsValidation = input.IsValidation, Files = _files[i].Count, FileBytes = _files[i].Sum(file => file.Length),
        })];
        InputBytes = _files.Any(files => files.Any(file => file.IsStandardInput)) ? 0 : _sources.Sum(source => source.FileBytes);
    }

    /// <summary>Length of the input files; 0 where standard input is one.</summary>
    public long InputBytes { get; }

    /// <summary>Bytes of the input files read so far. Another thread may ask.</summary>
    public long ReadBytes => Interlocked.Read(ref _finishedBytes) + (Volatile.Read(ref _reader)?.BytesRead ?? 0);

    /// <summary>Documents kept so far, in both parts.</summary>
    public long Documents => _documents[0] + _documents[1];

    /// <summary>Bytes of their text.</summary>
    public long TextBytes => _bytes[0] + _bytes[1];

    /// <summary>The counts of each source, without tokens.</summary>
    public IReadOnlyList<ManifestSource> Sources => _sources;

    /// <summary>For each source a hash of its files' names, lengths and times of modification.</summary>
    public IReadOnlyList<string> InputHashes => [.. _files.Select(files => TokenShards.Hash(
        files.Select(file => FormattableString.Invariant($"{file.Path} {file.Length} {file.Modified.Ticks}"))))];

    /// <summary>The file that was written to last; null where there is none but standard input.</summary>
    public InputFile? Newest => _files.SelectMany(files => files).Where(file => !file.IsStandardInput).MaxBy(file => file.Modified);

    /// <summary>Number of documents and bytes of a part.</summary>
    public (long Documents, long Bytes) Part(bool isValidation) => (_documents[isValidation ? 1 : 0], _bytes[isValidation ? 1 : 0]);

    /// <summary>The hash of the texts of a part so far.</summary>
    public ulong Chain(bool isValidation) => _chains[isValidation ? 1 : 0];

    /// <summary>The hash of texts as it stands in the journal.</summary>
    public static string Spell(ulong chain) => chain.ToString("x16", System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>What to throw where the inputs do not go together with what an interrupted run has written.</summary>
    public static UserErrorException Changed() => new(
        "the inputs are not what they were when this preparation was interrupted, so it cannot go on; restore them, or delete the folder and prepare again");

    /// <summary>Reads the documents that are not written yet.</summary>
    /// <param name="stop">Ends waiting for standard input.</param>
    /// <exception cref="UserErrorException">An input is damaged, or is not what it was when the preparation began.</exception>
    public IEnumerable<FeedDocument> Read(CancellationToken stop)
    {
        for (var source = 0; source < _sources.Length; source++)
        {
            foreach (var file in _files[source])
            {
                using var reader = Open(file, source, stop);
                Volatile.Write(ref _reader, reader);
                while (reader.ReadDocument() is { } text)
                {
                    if (Take(text, source, reader.WasCut) is { } document)
                    {
                        yield return document;
                    }
                }

                Volatile.Write(ref _reader, null);
                Interlocked.Add(ref _finishedBytes, file.Length);
            }
        }

        foreach (var part in new[] { 0, 1 })
        {
            Check(part);
            if (_documents[part] < _written[part].Documents)
            {
                throw Changed();
            }
        }
    }

    private FeedDocument? Take(string text, int source, bool wasCut)
    {
        Span<byte> bytes = stackalloc byte[16];
        XxHash128.Hash(MemoryMarshal.AsBytes(text.AsSpan()), bytes);
        var hash = MemoryMarshal.Read<UInt128>(bytes);
        var counts = _sources[source];
        if (_options.DropDuplicates && !_seen.Add(hash))
        {
            _sources[source] = counts with { Duplicates = counts.Duplicates + 1 };
            return null;
        }

        var isValidation = counts.IsValidation || (_options.ValidationInputs.Count == 0 && IsHeldOut(hash));
        var part = isValidation ? 1 : 0;
        var length = Encoding.UTF8.GetByteCount(text);
        _sources[source] = counts with
        {
            Documents = counts.Documents + 1,
            Bytes = counts.Bytes + length,
            Cut = counts.Cut + (wasCut ? 1 : 0),
            ValidationDocuments = counts.ValidationDocuments + part,
        };
        Check(part);
        var (ordinal, before) = (_documents[part]++, _chains[part]);
        _bytes[part] += length;
        _chains[part] = Mix(before ^ (ulong)hash) + (ulong)(hash >> 64);
        return ordinal < _written[part].Documents ? null : new FeedDocument(text, source, isValidation, ordinal, before, _chains[part]);
    }

    // Called before a document is counted: at the border of what is written the texts so far must be those of the interrupted run.
    private void Check(int part)
    {
        if (_documents[part] == _written[part].Documents && _written[part].Documents + _written[part].Offset > 0 && !_isChecked[part])
        {
            _isChecked[part] = true;
            if (Spell(_chains[part]) != _written[part].Chain)
            {
                throw Changed();
            }
        }
    }

    private bool IsHeldOut(UInt128 hash) => Mix((ulong)hash ^ Mix((ulong)_options.SplitSeed)) < _options.ValidationShare * Math.Pow(2, 64);

    private DocumentReader Open(InputFile file, int source, CancellationToken stop)
    {
        void Skip(string reason, string where) => CountSkipped(source, reason, where);
        return file.Kind switch
        {
            InputKind.Parquet => new ParquetDocumentReader(file.Path, _options.Column, _options.LongestDocument) { Skipped = Skip },
            InputKind.JsonLines when file.IsStandardInput =>
                new JsonLinesReader(new StoppableInput(Console.OpenStandardInput(), stop), "standard input", _options.Field, _options.LongestDocument) { Skipped = Skip },
            InputKind.JsonLines => new JsonLinesReader(file.Path, _options.Field, _options.LongestDocument) { Skipped = Skip },
            _ when file.IsStandardInput => new TextFileReader(new StoppableInput(Console.OpenStandardInput(), stop), "standard input", _options.Separator, _options.LongestDocument),
            _ => new TextFileReader(file.Path, _options.Separator, _options.LongestDocument),
        };
    }

    private void CountSkipped(int source, string reason, string where)
    {
        var counts = _sources[source];
        var skipped = new SortedDictionary<string, long>(counts.Skipped.ToDictionary(), StringComparer.Ordinal);
        skipped[reason] = skipped.GetValueOrDefault(reason) + 1;
        _sources[source] = counts with
        {
            Skipped = skipped,
            SkippedExamples = counts.SkippedExamples.Count < MostExamples ? [.. counts.SkippedExamples, $"{where}: {reason}"] : counts.SkippedExamples,
        };
    }

    // The finalizer of splitmix64.
    private static ulong Mix(ulong x)
    {
        x += 0x9E3779B97F4A7C15;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }
}
