using CoFrGeNet.Storage;

namespace CoFrGeNet.Training;

/// <summary>Held by the process that trains a run, so that no second one writes into its folder.</summary>
public static class RunLock
{
    /// <summary>Name of the file that is locked; it holds nothing and stays.</summary>
    public const string FileName = "run.lock";

    /// <summary>Takes the lock of a run.</summary>
    /// <param name="folder">The run's folder; it must exist.</param>
    /// <returns>The lock; dispose it to let go.</returns>
    /// <exception cref="UserErrorException">Another process trains the run.</exception>
    public static FolderLock Take(string folder) =>
        FolderLock.Take(folder, FileName, $"Another process is training the run in {folder}; wait for it or stop it, or give another folder with --out.");

    /// <summary>Whether a process trains a run at this moment.</summary>
    /// <param name="folder">The run's folder.</param>
    public static bool IsHeld(string folder) => FolderLock.IsHeld(folder, FileName);
}
