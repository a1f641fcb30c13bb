using System.Runtime.InteropServices;

namespace CoFrGeNet.Torch.Native;

/// <summary>
/// Keeps freed tensor memory with the process. By default glibc maps every large block afresh and gives it back at once, so each step pays
/// for its page faults again; with the thresholds raised, freed blocks are used again. The price is that the process keeps its peak memory.
/// </summary>
public static partial class AllocatorTuning
{
    private const int TrimThreshold = -1, MmapThreshold = -3;
    private static readonly Lazy<bool> Applied = new(TryApply);

    /// <summary>Raises the thresholds, once per process.</summary>
    /// <returns>Whether it took effect; false where the C library is not glibc.</returns>
    public static bool Apply() => Applied.Value;

    /// <summary>Gives free memory back to the system, for a fair start of the next model in the same process; no effect without glibc.</summary>
    public static void ReleaseFree()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        if (OperatingSystem.IsLinux() && SystemLibrary.GlibcVersion is not null)
        {
            _ = Trim(0);
        }
    }

    private static bool TryApply()
    {
        if (!OperatingSystem.IsLinux() || SystemLibrary.GlibcVersion is null)
        {
            return false;
        }

        // Some versions of glibc refuse a threshold above half of a heap, 32 MiB.
        bool isMapped = SetOption(MmapThreshold, int.MaxValue) != 0 || SetOption(MmapThreshold, 32 << 20) != 0;
        return SetOption(TrimThreshold, int.MaxValue) != 0 && isMapped;
    }

    [LibraryImport("libc.so.6", EntryPoint = "mallopt")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetOption(int option, int value);

    [LibraryImport("libc.so.6", EntryPoint = "malloc_trim")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Trim(nuint pad);
}
