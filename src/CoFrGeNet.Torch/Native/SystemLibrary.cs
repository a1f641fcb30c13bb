using System.Runtime.InteropServices;

namespace CoFrGeNet.Torch.Native;

/// <summary>The C and C++ libraries that this process really has.</summary>
internal static class SystemLibrary
{
    /// <summary>The version of glibc; null on musl and outside Linux.</summary>
    public static string? GlibcVersion { get; } = ReadGlibcVersion();

    /// <summary>Where a library is loaded from, by its file name; null when it is not loaded or the system does not tell.</summary>
    public static string? LoadedPath(string fileName)
    {
        const string maps = "/proc/self/maps";
        if (!OperatingSystem.IsLinux() || !File.Exists(maps))
        {
            return null;
        }

        foreach (string line in File.ReadLines(maps))
        {
            int start = line.IndexOf('/');
            string path = start < 0 ? "" : line[start..];

            // The map names the file behind the link: libstdc++.so.6.0.30 for libstdc++.so.6.
            if (Path.GetFileName(path).StartsWith(fileName, StringComparison.Ordinal))
            {
                return path;
            }
        }

        return null;
    }

    /// <summary>The libstdc++ of this process, or else the one that the loader would take; null when there is none.</summary>
    public static string? StandardLibraryPath()
    {
        string? path = LoadedPath(ShimNeeds.StandardLibrary);
        if (path is null && OperatingSystem.IsLinux())
        {
            int machine = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 183 : 62;
            ShimNeeds.FindStandardLibraries(machine, found => path ??= found);
        }

        return path;
    }

    /// <summary>The highest of the versions with a prefix such as GLIBCXX_; null when there is none.</summary>
    public static string? Highest(IEnumerable<string> versions, string prefix) => versions
        .Where(version => version.StartsWith(prefix, StringComparison.Ordinal) && Version.TryParse(version.AsSpan(prefix.Length), out _))
        .MaxBy(version => Version.Parse(version.AsSpan(prefix.Length)));

    private static string? ReadGlibcVersion()
    {
        if (!OperatingSystem.IsLinux()
            || !NativeLibrary.TryLoad("libc.so.6", out nint library)
            || !NativeLibrary.TryGetExport(library, "gnu_get_libc_version", out nint function))
        {
            return null;
        }

        unsafe
        {
            return Marshal.PtrToStringUTF8(((delegate* unmanaged<nint>)function)());
        }
    }
}
