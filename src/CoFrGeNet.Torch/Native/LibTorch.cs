using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Native;

/// <summary>Loads libtorch and names the real reason when it does not load; TorchSharp itself blames a missing package for everything.</summary>
public static class LibTorch
{
    private static readonly Lock Gate = new();
    private static bool _isLoaded;

    /// <summary>The file name of TorchSharp's native library on this system.</summary>
    internal static string ShimName =>
        OperatingSystem.IsWindows() ? "LibTorchSharp.dll" : OperatingSystem.IsMacOS() ? "libLibTorchSharp.dylib" : "libLibTorchSharp.so";

    /// <summary>Loads libtorch unless that has happened. The command-line tool and the trainer call it before anything else.</summary>
    /// <exception cref="UserErrorException">It cannot be loaded; one line says why and what to do.</exception>
    public static void EnsureLoaded()
    {
        lock (Gate)
        {
            if (!_isLoaded)
            {
                Load(FindShim());
                _isLoaded = true;
            }
        }
    }

    /// <summary>Where the host finds TorchSharp's native library; null when the application has none.</summary>
    internal static string? FindShim()
    {
        string searched = AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string ?? "";
        return searched.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Append(AppContext.BaseDirectory)
            .Append(Path.Combine(AppContext.BaseDirectory, "runtimes", RuntimeInformation.RuntimeIdentifier, "native"))
            .Select(folder => Path.Combine(folder, ShimName))
            .FirstOrDefault(File.Exists);
    }

    /// <summary>Loads the shim first by itself: the loader's own message is the exact one, and TorchSharp would hide it.</summary>
    internal static void Load(string? shim)
    {
        try
        {
            if (shim is not null)
            {
                NativeFile.RequireWhole(Path.GetDirectoryName(shim)!);
                NativeLibrary.Load(shim);
            }

            using Tensor one = ones(1);
        }
        catch (Exception error) when (error is DllNotFoundException or BadImageFormatException or NotSupportedException
            or TypeInitializationException or EntryPointNotFoundException or ElfFormatException)
        {
            throw new UserErrorException("libtorch cannot be loaded: " + Explain(shim, error), error);
        }
    }

    /// <summary>One line: the missing symbol version if there is one, else what the loader said.</summary>
    internal static string Explain(string? shim, Exception error)
    {
        if (shim is null)
        {
            return $"{ShimName} is not among the application's files; reference the libtorch package of this platform, "
                + "such as libtorch-cpu-linux-x64, in the executable project";
        }

        if (error is ElfFormatException)
        {
            return error.Message + "; restore and build again";
        }

        IReadOnlyList<string> missing = OperatingSystem.IsLinux() ? MissingVersions(ElfVersionNeeds.Read(shim)) : [];
        if (missing.Count > 0)
        {
            return $"{shim} needs {string.Join(", ", missing)}; build again on this system, "
                + "with -p:TorchNativePatch=always for another one, or install a newer libstdc++";
        }

        return string.Join(' ', error.Message.Split(['\n', '\r'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
    }

    /// <summary>Each version that the shim insists on and this system's C or C++ library lacks, with what there is instead.</summary>
    internal static IReadOnlyList<string> MissingVersions(ElfVersionNeeds shim)
    {
        var lines = new List<string>();
        foreach (var needs in shim.Needs.Where(need => !need.IsWeak).GroupBy(need => need.Library))
        {
            string? path = needs.Key == ShimNeeds.StandardLibrary ? SystemLibrary.StandardLibraryPath() : SystemLibrary.LoadedPath(needs.Key);
            if (path is null)
            {
                continue;
            }

            IReadOnlyList<string> offered = ElfVersionNeeds.Read(path).Defined;
            foreach (string version in needs.Select(need => need.Version).Except(offered))
            {
                string family = version[..(version.IndexOf('_') + 1)];
                lines.Add($"{version}, but {path} ends at {SystemLibrary.Highest(offered, family) ?? "none"}");
            }
        }

        return lines;
    }
}
