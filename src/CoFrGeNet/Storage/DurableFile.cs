using System.Text.RegularExpressions;

namespace CoFrGeNet.Storage;

/// <summary>Writes files so that a crash or a power cut leaves either the old file or the whole new one.</summary>
public static partial class DurableFile
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

    /// <summary>Whether a file is what a crash left of a <see cref="Write(string, Action{Stream})"/>.</summary>
    /// <param name="path">The file; its name alone is looked at.</param>
    public static bool IsPartial(string path) => PartialName().IsMatch(Path.GetFileName(path));

    /// <summary>Deletes what earlier crashes left half-written in a folder. Call it only while nothing writes there.</summary>
    /// <param name="directory">The folder; those below it are not looked at.</param>
    public static void DeletePartial(string directory)
    {
        foreach (var file in Directory.EnumerateFiles(directory).Where(IsPartial))
        {
            File.Delete(file);
        }
    }

    [GeneratedRegex(@"^\..+\.[0-9a-f]{32}\.tmp$", RegexOptions.CultureInvariant)]
    private static partial Regex PartialName();
}
