namespace CoFrGeNet.Training;

/// <summary>
/// Held by the process that trains a run, so that no second one writes into its folder; the system lets go of it however the process ends.
/// </summary>
public sealed class RunLock : IDisposable
{
    /// <summary>Name of the file that is locked; it holds nothing and stays.</summary>
    public const string FileName = "run.lock";

    private readonly FileStream _file;

    private RunLock(FileStream file) => _file = file;

    /// <summary>Takes the lock of a run.</summary>
    /// <param name="folder">The run's folder; it must exist.</param>
    /// <exception cref="UserErrorException">Another process trains the run.</exception>
    public static RunLock Take(string folder)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return new RunLock(new FileStream(Path.Combine(folder, FileName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
            }
            catch (IOException e) when (IsHeld(folder))
            {
                // Whoever only asks whether it is held keeps it for a moment.
                if (attempt == 3)
                {
                    throw new UserErrorException($"Another process is training the run in {folder}; wait for it or stop it, or give another folder with --out.", e);
                }

                Thread.Sleep(100);
            }
        }
    }

    /// <summary>Whether a process trains a run at this moment.</summary>
    /// <param name="folder">The run's folder.</param>
    public static bool IsHeld(string folder)
    {
        try
        {
            using var file = new FileStream(Path.Combine(folder, FileName), FileMode.Open, FileAccess.Read, FileShare.Read);
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
