using System.Text.Json;
using CoFrGeNet.Configuration;
using CoFrGeNet.Storage;

namespace CoFrGeNet.Data;

/// <summary>How far an unfinished preparation came: rewritten whenever a file of tokens is complete, gone when the manifest is written.</summary>
public sealed record PreparationJournal
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "preparation.json";

    /// <summary>Name of the file that a process locks while it prepares; it holds nothing and stays.</summary>
    public const string LockFile = "preparation.lock";

    /// <summary>What was asked for.</summary>
    public required PreparationOptions Options { get; init; }

    /// <summary>What <see cref="TokenizerIdentity.Hash"/> gives for the tokenizer.</summary>
    public required string TokenizerHash { get; init; }

    /// <summary>For each source a hash of its files' names, lengths and times of modification.</summary>
    public IReadOnlyList<string> Inputs { get; init; } = [];

    /// <summary>The training part.</summary>
    public required PartProgress Train { get; init; }

    /// <summary>The validation part.</summary>
    public required PartProgress Validation { get; init; }

    /// <summary>Reads the journal of a folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <returns>The journal, or null where there is none.</returns>
    /// <exception cref="UserErrorException">It is damaged.</exception>
    public static PreparationJournal? Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        return File.Exists(path) ? StrictJson.Read(StrictJson.Parse(File.ReadAllText(path), path), DataJsonContext.Default.PreparationJournal, path) : null;
    }

    /// <summary>Writes the journal.</summary>
    /// <param name="folder">The folder.</param>
    public void Write(string folder) =>
        DurableFile.Write(Path.Combine(folder, FileName), JsonSerializer.SerializeToUtf8Bytes(this, DataJsonContext.Default.PreparationJournal));
}

/// <summary>What of one part is in complete files.</summary>
public sealed record PartProgress
{
    /// <summary>The complete files.</summary>
    public IReadOnlyList<ManifestShard> Shards { get; init; } = [];

    /// <summary>Documents that are in them as a whole.</summary>
    public long Documents { get; init; }

    /// <summary>Tokens of the next document that are in them too.</summary>
    public int Offset { get; init; }

    /// <summary>Hash of those documents' texts, by which a changed input is noticed.</summary>
    public string Chain { get; init; } = string.Empty;

    /// <summary>Tokens of those documents by source.</summary>
    public IReadOnlyList<long> SourceTokens { get; init; } = [];
}
