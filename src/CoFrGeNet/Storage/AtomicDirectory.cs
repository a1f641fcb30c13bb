namespace CoFrGeNet.Storage;

/// <summary>
/// Writes folders (checkpoints, model folders) so that a folder of the final name is always complete: it is filled under
/// another name in the same place, flushed to the disk and renamed.
/// </summary>
public static class AtomicDirectory
{
    /// <summary>Part of the name of a folder that is being written; one that is found later is left over from a crash.</summary>
    public const string PartialMarker = ".partial-";

    private const string OldMarker = PartialMarker + "old-";

    /// <summary>
    /// Creates a folder with its content. An existing folder of that name is replaced; it stays in place until the new one is
    /// complete. When the callback throws, nothing is left behind.
    /// </summary>
    /// <param name="path">The folder; missing parents are created.</param>
    /// <param name="fill">Writes the content; receives the folder to write into.</param>
    public static void Create(string path, Action<string> fill)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(fill);
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        var parent = Path.GetDirectoryName(full) ?? throw new ArgumentException($"'{path}' is the root", nameof(path));
        var token = Guid.NewGuid().ToString("N");
        var aside = full + PartialMarker + token;
        Directory.CreateDirectory(aside);
        try
        {
            fill(aside);
            FlushTree(aside);
            Replace(aside, full, token);
        }
        catch
        {
            if (Directory.Exists(aside))
            {
                Directory.Delete(aside, recursive: true);
            }

            throw;
        }

        DirectorySync.Flush(parent);
    }

    /// <summary>
    /// Deletes what earlier crashes left half-written in a folder. A folder that was moved aside to be replaced, but never was,
    /// gets its name back. Call it only while nothing writes there.
    /// </summary>
    /// <param name="parent">The folder whose children are looked at; it may be missing.</param>
    /// <returns>The number of folders deleted or given back their name.</returns>
    public static int DeletePartial(string parent)
    {
        ArgumentException.ThrowIfNullOrEmpty(parent);
        if (!Directory.Exists(parent))
        {
            return 0;
        }

        var partial = Directory.GetDirectories(parent, "*" + PartialMarker + "*");
        foreach (var folder in partial)
        {
            var moved = folder.IndexOf(OldMarker, StringComparison.Ordinal);
            if (moved > 0 && !Directory.Exists(folder[..moved]))
            {
                Directory.Move(folder, folder[..moved]);
            }
            else
            {
                Directory.Delete(folder, recursive: true);
            }
        }

        return partial.Length;
    }

    /// <summary>Deletes a folder so that a crash in between leaves no folder of this name with a part of its content.</summary>
    /// <param name="path">The folder.</param>
    public static void Delete(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        var aside = full + PartialMarker + Guid.NewGuid().ToString("N");
        Directory.Move(full, aside);
        Directory.Delete(aside, recursive: true);
    }

    private static void FlushTree(string folder)
    {
        foreach (var file in Directory.EnumerateFiles(folder))
        {
            using var stream = new FileStream(file, FileMode.Open, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
            stream.Flush(flushToDisk: true);
        }

        foreach (var child in Directory.EnumerateDirectories(folder))
        {
            FlushTree(child);
        }

        DirectorySync.Flush(folder);
    }

    private static void Replace(string aside, string full, string token)
    {
        if (!Directory.Exists(full))
        {
            Directory.Move(aside, full);
            return;
        }

        // Two renames: in between a crash leaves both folders complete, the old one under its partial name.
        var old = full + OldMarker + token;
        Directory.Move(full, old);
        try
        {
            Directory.Move(aside, full);
        }
        catch
        {
            Directory.Move(old, full);
            throw;
        }

        Directory.Delete(old, recursive: true);
    }
}
