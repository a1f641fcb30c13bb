using System.Runtime.InteropServices;
using CoFrGeNet.Torch.Native;

namespace CoFrGeNet.Torch.Cuda;

/// <summary>Finds NVIDIA's libraries: the driver's by the loader's rules, NVRTC also beside libtorch, in toolkits and in Python's packages.</summary>
internal static class CudaLibraries
{
    private static readonly string[] DriverNames = OperatingSystem.IsWindows() ? ["nvcuda.dll"] : ["libcuda.so.1", "libcuda.so"];

    // The newest first; a version compiles for older devices too.
    private static readonly string[] CompilerNames = OperatingSystem.IsWindows()
        ? ["nvrtc64_130_0.dll", "nvrtc64_120_0.dll", "nvrtc64_112_0.dll"]
        : ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"];

    private static readonly string CompilerPattern = OperatingSystem.IsWindows() ? "nvrtc64_*.dll" : "libnvrtc*.so*";

    /// <summary>Loads the driver's library.</summary>
    /// <exception cref="CudaException">There is none.</exception>
    public static nint LoadDriver() => Load("NVIDIA's driver", DriverNames);

    /// <summary>Loads NVRTC.</summary>
    /// <exception cref="CudaException">There is none.</exception>
    public static nint LoadCompiler() => Load("NVIDIA's run-time compiler", [.. CompilerFolders().SelectMany(CompilersIn), .. CompilerNames]);

    /// <summary>Loads the first of some libraries that loads: paths, or names that the loader looks for.</summary>
    /// <param name="what">What they are, for the message.</param>
    /// <param name="candidates">Names or paths.</param>
    /// <exception cref="CudaException">None loads.</exception>
    internal static nint Load(string what, IReadOnlyList<string> candidates)
    {
        foreach (string candidate in candidates)
        {
            if (NativeLibrary.TryLoad(candidate, out nint library))
            {
                return library;
            }
        }

        string names = string.Join(", ", candidates.Select(Path.GetFileName).Distinct());
        throw new CudaException(OperatingSystem.IsMacOS() ? "macOS has no CUDA" : $"{what} is not on this machine (none of {names} can be loaded)");
    }

    /// <summary>Copies of NVRTC in a folder, without the library of built-in functions that it loads itself.</summary>
    internal static IEnumerable<string> CompilersIn(string folder) => Directory.Exists(folder)
        ? Directory.EnumerateFiles(folder, CompilerPattern)
            .Where(path => !Path.GetFileName(path).Contains("builtins", StringComparison.Ordinal) && !path.Contains(".alt.", StringComparison.Ordinal))
            .OrderDescending(StringComparer.Ordinal)
        : [];

    // libtorch's own copy first: it is of the version that libtorch's kernels were built with.
    private static IEnumerable<string> CompilerFolders()
    {
        if (LibTorch.FindShim() is { } shim)
        {
            yield return Path.GetDirectoryName(shim)!;
        }

        foreach (string variable in new[] { "CUDA_HOME", "CUDA_PATH" })
        {
            if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } toolkit)
            {
                yield return Path.Combine(toolkit, "lib64");
                yield return Path.Combine(toolkit, "bin");
            }
        }

        if (OperatingSystem.IsLinux())
        {
            yield return "/usr/local/cuda/lib64";
        }

        foreach (string packages in PythonPackages())
        {
            yield return Path.Combine(packages, "nvidia", "cu13", "lib");
            yield return Path.Combine(packages, "nvidia", "cuda_nvrtc", OperatingSystem.IsWindows() ? "bin" : "lib");
            yield return Path.Combine(packages, "torch", "lib");
        }
    }

    private static IEnumerable<string> PythonPackages()
    {
        string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        string?[] roots =
        [
            Environment.GetEnvironmentVariable("VIRTUAL_ENV"), Environment.GetEnvironmentVariable("CONDA_PREFIX"),
            home.Length == 0 ? null : Path.Combine(home, ".local"), "/usr/local", "/usr",
        ];
        foreach (string root in roots.OfType<string>().Where(Path.IsPathFullyQualified))
        {
            yield return Path.Combine(root, "Lib", "site-packages");
            string libraries = Path.Combine(root, "lib");
            foreach (string python in Directory.Exists(libraries) ? Directory.EnumerateDirectories(libraries, "python3*") : [])
            {
                yield return Path.Combine(python, "site-packages");
                yield return Path.Combine(python, "dist-packages");
            }
        }
    }
}
