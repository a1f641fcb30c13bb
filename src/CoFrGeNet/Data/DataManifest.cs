namespace CoFrGeNet.Data;

/// <summary>What a prepared folder holds: the file <c>manifest.json</c>, written last, so that a folder that has it is whole.</summary>
public sealed record DataManifest
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "manifest.json";

    /// <summary>Version of the format that this library writes and reads.</summary>
    public const int CurrentVersion = 1;

    /// <summary>Version of the format.</summary>
    public required int Version { get; init; }

    /// <summary>What made the ids.</summary>
    public required ManifestTokenizer Tokenizer { get; init; }

    /// <summary>2 or 4.</summary>
    public required int BytesPerToken { get; init; }

    /// <summary>The id that marks documents: before each in llm.c's layout, after each in nanoGPT's; absent: none does.</summary>
    public int? DocumentMark { get; init; }

    /// <summary>What was asked for.</summary>
    public required PreparationOptions Options { get; init; }

    /// <summary>What each input gave.</summary>
    public required IReadOnlyList<ManifestSource> Sources { get; init; }

    /// <summary>The training part.</summary>
    public required ManifestPart Train { get; init; }

    /// <summary>The validation part.</summary>
    public required ManifestPart Validation { get; init; }
}

/// <summary>The tokenizer of a prepared folder.</summary>
/// <param name="Name">Its name, or that of its file in the folder.</param>
/// <param name="Hash">What <see cref="TokenizerIdentity.Hash"/> gives.</param>
/// <param name="VocabularySize">Number of ids.</param>
public sealed record ManifestTokenizer(string Name, string Hash, int VocabularySize);

/// <summary>What one input gave.</summary>
public sealed record ManifestSource
{
    /// <summary>The path as it was given.</summary>
    public required string Path { get; init; }

    /// <summary>Whether it was given for validation alone.</summary>
    public bool IsValidation { get; init; }

    /// <summary>Files read.</summary>
    public int Files { get; init; }

    /// <summary>Their length on the disk; 0 for standard input.</summary>
    public long FileBytes { get; init; }

    /// <summary>Documents kept, in both parts.</summary>
    public long Documents { get; init; }

    /// <summary>Bytes of their text in UTF-8.</summary>
    public long Bytes { get; init; }

    /// <summary>Their tokens, marks included.</summary>
    public long Tokens { get; init; }

    /// <summary>Documents held out for validation, of <see cref="Documents"/>.</summary>
    public long ValidationDocuments { get; init; }

    /// <summary>Documents dropped because their text came before.</summary>
    public long Duplicates { get; init; }

    /// <summary>Documents that are pieces of one that was too long.</summary>
    public long Cut { get; init; }

    /// <summary>Lines and rows skipped, by reason.</summary>
    public IReadOnlyDictionary<string, long> Skipped { get; init; } = new SortedDictionary<string, long>(StringComparer.Ordinal);

    /// <summary>Where the first of them were.</summary>
    public IReadOnlyList<string> SkippedExamples { get; init; } = [];
}

/// <summary>The training or the validation part.</summary>
public sealed record ManifestPart
{
    /// <summary>Documents.</summary>
    public required long Documents { get; init; }

    /// <summary>Bytes of their text in UTF-8.</summary>
    public required long Bytes { get; init; }

    /// <summary>Tokens, marks included.</summary>
    public required long Tokens { get; init; }

    /// <summary>The files, in their order.</summary>
    public required IReadOnlyList<ManifestShard> Shards { get; init; }
}

/// <summary>One file.</summary>
/// <param name="File">Its name.</param>
/// <param name="Tokens">Number of ids.</param>
/// <param name="Checksum">XXH128 of the whole file in hexadecimal, as the tool xxh128sum prints it.</param>
public sealed record ManifestShard(string File, long Tokens, string Checksum);
