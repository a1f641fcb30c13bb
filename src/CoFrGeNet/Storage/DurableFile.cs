namespace CoFrGeNet.Storage;

/// <summary>Writes files so that a crash or a power cut leaves either the old file or the whole new one.</summary>
public static class DurableFile
{
    /// <summary>
    /// Writes a file aside, flushes it to the disk and renames it over <paramref name="path"/>. When the callback throws,
    /// nothing is left behind and an old file stays as it was.
    /// </summary>
    /// <param name="path">The file; its directory must exist.</param>
    /// <param name="write">Writes the content.</param>
    public static void Write(string path, Action<Stream> write)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(write);
        var full = Path.GetFullPath(path);
        var directory = Path.GetDirectoryName(full) ?? throw new ArgumentException($"'{path}' is not a file", nameof(path));
        var aside = Path.Combine(directory, $".{Path.GetFileName(full)}.{Guid.NewGuid():N}.tmp");
        try
        {
            using (var stream = new FileStream(aside, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(aside, full, overwrite: true);
        }
        catch
        {
            File.Delete(aside);
            throw;
        }

        DirectorySync.Flush(directory);
    }

    /// <summary>Writes bytes as <see cref="Write(string, Action{Stream})"/> does.</summary>
    /// <param name="path">The file; its directory must exist.</param>
    /// <param name="content">The content.</param>
    public static void Write(string path, ReadOnlyMemory<byte> content) => Write(path, stream => stream.Write(content.Span));
}
