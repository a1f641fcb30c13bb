namespace CoFrGeNet.Storage;

/// <summary>
/// Held by the process that writes into a folder, so that no second one does; the system lets go of it however the process ends. The file that is locked holds
/// nothing and stays, since deleting it would let two processes hold a lock of the same name.
/// </summary>
public sealed class FolderLock : IDisposable
{
    private const int Attempts = 4;
    private const int LooksAtMost = 20;

    private readonly FileStream _file;

    private FolderLock(FileStream file) => _file = file;

    /// <summary>Takes a lock.</summary>
    /// <param name="folder">The folder; it must exist.</param>
    /// <param name="fileName">Name of the file that is locked.</param>
    /// <param name="refusal">What the user is told where another process holds it.</param>
    /// <exception cref="UserErrorException">Another process holds it.</exception>
    public static FolderLock Take(string folder, string fileName, string refusal)
    {
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            if (TryTake(folder, fileName) is { } taken)
            {
                return taken;
            }

            // Whoever only asks whether it is held keeps it for a moment.
            if (attempt < Attempts - 1)
            {
                Thread.Sleep(100);
            }
        }

        throw new UserErrorException(refusal);
    }

    /// <summary>Takes a lock that is free; does not wait.</summary>
    /// <param name="folder">The folder; it must exist.</param>
    /// <param name="fileName">Name of the file that is locked.</param>
    /// <returns>The lock, or null where another holds it, in this process or another.</returns>
    public static FolderLock? TryTake(string folder, string fileName)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentException.ThrowIfNullOrEmpty(fileName);
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return new FolderLock(new FileStream(Path.Combine(folder, fileName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
            }
            catch (IOException) when (IsHeld(folder, fileName))
            {
                return null;
            }
            catch (IOException) when (attempt < LooksAtMost)
            {
                // Its holder may have let go between the two looks; what fails for another reason fails again.
            }
        }
    }

    /// <summary>Waits for a lock that others hold for moments only.</summary>
    /// <param name="folder">The folder; it must exist.</param>
    /// <param name="fileName">Name of the file that is locked.</param>
    public static FolderLock Await(string folder, string fileName)
    {
        FolderLock? taken;
        while ((taken = TryTake(folder, fileName)) is null)
        {
            Thread.Sleep(20);
        }

        return taken;
    }

    /// <summary>Whether a process holds a lock at this moment.</summary>
    /// <param name="folder">The folder; it may be missing.</param>
    /// <param name="fileName">Name of the file that is locked.</param>
    public static bool IsHeld(string folder, string fileName)
    {
        try
        {
            using var file = new FileStream(Path.Combine(folder, fileName), FileMode.Open, FileAccess.Read, FileShare.Read);
            return false;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException)
        {
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();
}
