using CoFrGeNet.Configuration;
using CoFrGeNet.Storage;
using CoFrGeNet.Text;

namespace CoFrGeNet.Data;

/// <summary>A folder of prepared text, opened for reading: its manifest, its tokenizer, and both parts mapped into memory.</summary>
public sealed class PreparedData : IDisposable
{
    private PreparedData(string folder, DataManifest manifest, ITokenizer tokenizer, TokenShards train, TokenShards validation)
    {
        Folder = folder;
        Manifest = manifest;
        Tokenizer = tokenizer;
        Train = train;
        Validation = validation;
    }

    /// <summary>The folder.</summary>
    public string Folder { get; }

    /// <summary>What it holds.</summary>
    public DataManifest Manifest { get; }

    /// <summary>What made the ids.</summary>
    public ITokenizer Tokenizer { get; }

    /// <summary>The training part; it may be empty.</summary>
    public TokenShards Train { get; }

    /// <summary>The validation part; it may be empty.</summary>
    public TokenShards Validation { get; }

    /// <summary>Whether a folder is a prepared one, whole or not.</summary>
    /// <param name="folder">The folder.</param>
    public static bool IsPrepared(string folder) =>
        File.Exists(Path.Combine(folder, DataManifest.FileName)) || (Directory.Exists(folder) && IsUnfinished(folder));

    /// <summary>Whether a file says nothing about what a folder holds: the lock, or what a crash left half-written.</summary>
    /// <param name="path">The file.</param>
    public static bool IsLeftover(string path) => Path.GetFileName(path) == PreparationJournal.LockFile || DurableFile.IsPartial(path);

    /// <summary>What the user is told where another process prepares a folder.</summary>
    /// <param name="folder">The folder.</param>
    public static string BusyMessage(string folder) => $"Another process is preparing {folder}; wait for it or stop it, or give another folder with --out.";

    /// <summary>Reads the manifest of a folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="UserErrorException">There is none, or it is damaged.</exception>
    public static DataManifest ReadManifest(string folder)
    {
        var path = Path.Combine(folder, DataManifest.FileName);
        if (!File.Exists(path))
        {
            throw new UserErrorException(
                $"{folder} has no {DataManifest.FileName}, so its preparation was not finished; run the same 'cofrgenet data prepare' again, it goes on where it stopped");
        }

        try
        {
            var manifest = StrictJson.Read(StrictJson.Parse(File.ReadAllText(path), path), DataJsonContext.Default.DataManifest, path);
            return manifest.Version == DataManifest.CurrentVersion && manifest.BytesPerToken is 2 or 4
                ? manifest
                : throw new UserErrorException($"{path} has version {manifest.Version} and {manifest.BytesPerToken} bytes a token; this program reads version {DataManifest.CurrentVersion} with 2 or 4");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"cannot read {path}: {e.Message}", e);
        }
    }

    /// <summary>Opens a folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="verify">Whether all files are read now and compared with their checksums.</param>
    /// <returns>The open folder; dispose it.</returns>
    /// <exception cref="UserErrorException">A file is missing, damaged or foreign; the message names it and the reason.</exception>
    public static PreparedData Open(string folder, bool verify = true)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        var manifest = ReadManifest(folder);
        var tokenizer = TokenizerFiles.Load(folder);
        var hash = TokenizerIdentity.Hash(tokenizer);
        if (hash != manifest.Tokenizer.Hash)
        {
            throw new UserErrorException(
                $"{folder} was prepared with a tokenizer of hash {manifest.Tokenizer.Hash[..12]}, and the tokenizer in it now has {hash[..12]}; restore {TokenizerFiles.FileName} and the file that it names, or prepare the text again");
        }

        var train = OpenPart(folder, manifest, manifest.Train, tokenizer, verify);
        try
        {
            return new PreparedData(folder, manifest, tokenizer, train, OpenPart(folder, manifest, manifest.Validation, tokenizer, verify));
        }
        catch
        {
            train.Dispose();
            throw;
        }
    }

    /// <summary>Deletes a prepared folder, whole or not; one that does not exist is fine.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="UserErrorException">It holds what preparing does not write, or a process prepares it at this moment.</exception>
    public static void Delete(string folder)
    {
        if (!Directory.Exists(folder))
        {
            return;
        }

        if (FolderLock.IsHeld(folder, PreparationJournal.LockFile))
        {
            throw new UserErrorException(BusyMessage(folder));
        }

        var entries = Directory.EnumerateFileSystemEntries(folder).Where(path => !IsLeftover(path)).ToArray();
        var stranger = entries.Select(Path.GetFileName).FirstOrDefault(name =>
            name is not (DataManifest.FileName or PreparationJournal.FileName or TokenizerFiles.FileName or TokenizerFiles.HuggingFaceFile or TokenizerFiles.TiktokenFile)
            && !((name!.EndsWith(".bin", StringComparison.Ordinal) || name.EndsWith(".bin.tmp", StringComparison.Ordinal)) && File.Exists(Path.Combine(folder, name))));
        if (stranger is not null || (!IsPrepared(folder) && entries.Length > 0))
        {
            throw new UserErrorException($"{folder} holds {stranger ?? "no preparation"}, which is not deleted; give another folder with --out");
        }

        Directory.Delete(folder, recursive: true);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Train.Dispose();
        Validation.Dispose();
    }

    // The journal is written first and the manifest last.
    private static bool IsUnfinished(string folder) => File.Exists(Path.Combine(folder, PreparationJournal.FileName))
        || (File.Exists(Path.Combine(folder, TokenizerFiles.FileName)) && Directory.EnumerateFiles(folder, "*.bin").Any(path => Path.GetFileName(path) != TokenizerFiles.Llama2CFile));

    private static TokenShards OpenPart(string folder, DataManifest manifest, ManifestPart part, ITokenizer tokenizer, bool verify)
    {
        var files = new List<TokenFile>();
        try
        {
            foreach (var shard in part.Shards)
            {
                files.Add(OpenShard(folder, manifest, shard, tokenizer));
            }

            if (verify)
            {
                var checksums = TokenFile.VerifyAll(files);
                for (var i = 0; i < checksums.Length; i++)
                {
                    Compare(files[i].FilePath, part.Shards[i], checksums[i]);
                }
            }

            var tokens = files.Sum(file => file.Count);
            return tokens == part.Tokens
                ? new TokenShards(files, tokenizer, TokenShards.Hash(part.Shards.Select(shard => shard.Checksum)), part.Documents, part.Bytes)
                : throw new UserErrorException($"{Path.Combine(folder, DataManifest.FileName)} counts {part.Tokens} tokens, and its files hold {tokens}; it is damaged, prepare the text again");
        }
        catch
        {
            files.ForEach(file => file.Dispose());
            throw;
        }
    }

    private static TokenFile OpenShard(string folder, DataManifest manifest, ManifestShard shard, ITokenizer tokenizer)
    {
        var path = Path.Combine(folder, shard.File);
        if (Path.GetFileName(shard.File) != shard.File)
        {
            throw new UserErrorException($"{Path.Combine(folder, DataManifest.FileName)} names the file '{shard.File}', which lies outside the folder; it is damaged, prepare the text again");
        }

        var file = TokenFile.Open(path, tokenizer.VocabularySize, manifest.Options.Layout == TokenLayout.Llmc ? null : manifest.BytesPerToken);
        var found = (file.Layout, file.BytesPerToken, file.Count);
        if (found == (manifest.Options.Layout, manifest.BytesPerToken, shard.Tokens))
        {
            return file;
        }

        file.Dispose();
        throw new UserErrorException(
            $"{path} holds {found.Count} tokens of {found.BytesPerToken} bytes in the layout {Name(found.Layout)}, and the manifest says {shard.Tokens} of {manifest.BytesPerToken} in {Name(manifest.Options.Layout)}; it is damaged or another file, prepare the text again");
    }

    private static void Compare(string path, ManifestShard shard, string checksum)
    {
        if (checksum != shard.Checksum)
        {
            throw new UserErrorException($"{path} has the checksum {checksum}, and the manifest says {shard.Checksum}; the file is damaged, take another copy or prepare the text again");
        }
    }

    private static string Name(TokenLayout layout) => layout == TokenLayout.Llmc ? "llmc" : "nanoGpt";
}
