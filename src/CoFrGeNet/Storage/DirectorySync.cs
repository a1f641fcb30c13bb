using System.Runtime.InteropServices;

namespace CoFrGeNet.Storage;

/// <summary>Makes renames in a directory durable: on Unix a rename may be lost in a power cut until its directory is flushed.</summary>
internal static partial class DirectorySync
{
    /// <summary>
    /// Flushes a directory's entries to the disk. Does nothing on Windows, whose file system journals them; a file system
    /// that cannot flush directories is not an error.
    /// </summary>
    public static void Flush(string directory)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        // O_RDONLY is 0 on every Unix.
        var descriptor = Open(directory, 0);
        if (descriptor >= 0)
        {
            _ = FSync(descriptor);
            _ = Close(descriptor);
        }
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int FSync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
