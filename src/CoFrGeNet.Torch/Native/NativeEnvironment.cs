using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using CoFrGeNet.Torch.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Native;

/// <summary>What this machine offers to libtorch, as a list of checks; nothing here throws.</summary>
public static class NativeEnvironment
{
    private const double Gibibyte = 1L << 30;

    /// <summary>Runs every check, in the order in which one depends on another.</summary>
    public static IReadOnlyList<NativeCheck> Check()
    {
        var checks = new List<NativeCheck> { Guard(".NET runtime", CheckRuntime) };
        if (OperatingSystem.IsLinux())
        {
            checks.Add(Guard("C library", CheckLibc));
            checks.Add(Guard("C++ library", CheckStandardLibrary));
        }

        checks.Add(Guard("TorchSharp shim", () => CheckShim(LibTorch.FindShim())));
        NativeCheck libtorch = Guard("libtorch", CheckLibTorch);
        checks.Add(libtorch);
        checks.Add(Guard("CPU", CheckProcessor));
        checks.Add(libtorch.Status == NativeCheckStatus.Failed
            ? new NativeCheck("CUDA", NativeCheckStatus.Warning, "not looked for, since libtorch does not load", libtorch.Fix)
            : Guard("CUDA", CheckCuda));
        if (libtorch.Status != NativeCheckStatus.Failed)
        {
            checks.Add(Guard("CUDA kernels", CheckCudaKernels));
        }

        checks.Add(Guard("Memory", CheckMemory));
        checks.Add(Guard("Disk, current folder", () => CheckDisk(Environment.CurrentDirectory)));
        checks.Add(Guard("Disk, temporary files", () => CheckDisk(Path.GetTempPath())));
        return checks;
    }

    /// <summary>The name of a CUDA device, such as NVIDIA H100 80GB HBM3; "CUDA device" where the driver does not tell it.</summary>
    /// <param name="device">The device.</param>
    public static string CudaName(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        try
        {
            return CudaToolkit.Installed.Value.Driver.Name(Math.Max(0, device.index));
        }
        catch (Exception error) when (CudaKernels.IsFailure(error))
        {
            return "CUDA device";
        }
    }

    /// <summary>Judges a shim: what it insists on, and whether an unneeded version has been made weak.</summary>
    internal static NativeCheck CheckShim(string? path)
    {
        const string name = "TorchSharp shim";
        if (path is null)
        {
            return new(name, NativeCheckStatus.Failed, $"{LibTorch.ShimName} is not among the application's files",
                "Reference the libtorch package of this platform, such as libtorch-cpu-linux-x64, in the executable project.");
        }

        if (!OperatingSystem.IsLinux())
        {
            return new(name, NativeCheckStatus.Ok, path);
        }

        ElfVersionNeeds shim = ElfVersionNeeds.Read(path);
        IReadOnlyList<string> missing = LibTorch.MissingVersions(shim);
        string? highest = SystemLibrary.Highest(shim.Needs.Select(need => need.Version), "GLIBCXX_");
        string weak = string.Join(", ", shim.Needs.Where(need => need.IsWeak).Select(need => need.Version));
        if (missing.Count > 0)
        {
            return new(name, NativeCheckStatus.Failed, $"{path} needs {string.Join(", ", missing)}",
                "Build again on this system, or with -p:TorchNativePatch=always for it, or install a newer libstdc++.");
        }

        string reason = weak.Length > 0
            ? $"patched: {weak} is optional, since nothing in the file uses it"
            : "not patched: this system offers every version";
        return new(name, NativeCheckStatus.Ok, $"{path}; asks for up to {highest}; {reason}");
    }

    private static NativeCheck CheckRuntime() => new(".NET runtime", NativeCheckStatus.Ok,
        $"{RuntimeInformation.FrameworkDescription}, {RuntimeInformation.RuntimeIdentifier}, {RuntimeInformation.OSDescription}");

    private static NativeCheck CheckLibc() => SystemLibrary.GlibcVersion is { } version
        ? new("C library", NativeCheckStatus.Ok, $"glibc {version}, {SystemLibrary.LoadedPath("libc.so.6") ?? "libc.so.6"}")
        : new("C library", NativeCheckStatus.Failed, "not glibc", "Use a Linux with glibc 2.34 or later: libtorch is not built for musl.");

    private static NativeCheck CheckStandardLibrary()
    {
        string? path = SystemLibrary.StandardLibraryPath();
        return path is null
            ? new("C++ library", NativeCheckStatus.Failed, "no libstdc++.so.6", "Install libstdc++ (Debian, Ubuntu: apt-get install libstdc++6).")
            : new("C++ library", NativeCheckStatus.Ok, $"{SystemLibrary.Highest(ElfVersionNeeds.Read(path).Defined, "GLIBCXX_")}, {path}");
    }

    // Products in both types that training uses: a library that loads may still lack a kernel for this processor.
    private static NativeCheck CheckLibTorch()
    {
        LibTorch.EnsureLoaded();
        foreach (ScalarType type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
        {
            using Tensor left = ones([8, 16], dtype: type);
            using Tensor product = left.matmul(left.t());
            using Tensor total = product.to_type(ScalarType.Float32).sum();
            float sum = total.item<float>();
            if (sum != 8 * 8 * 16)
            {
                return new("libtorch", NativeCheckStatus.Failed, $"a product in {type} gives {sum}, not 1024", "Restore the libtorch package again.");
            }
        }

        return new("libtorch", NativeCheckStatus.Ok, $"libtorch {torch.__version__}, products in float32 and bfloat16 are right");
    }

    private static NativeCheck CheckProcessor()
    {
        var flags = new List<string>();
        if (X86Base.IsSupported)
        {
            // Leaf 7: the runtime has no property for bfloat16.
            bool hasLeaf = X86Base.CpuId(0, 0).Eax >= 7;
            bool hasAvx512Bf16 = hasLeaf && (X86Base.CpuId(7, 1).Eax & (1 << 5)) != 0;
            bool hasAmxBf16 = hasLeaf && (X86Base.CpuId(7, 0).Edx & (1 << 22)) != 0;
            flags.Add(Avx2.IsSupported ? "AVX2" : "no AVX2");
            flags.Add(Avx512F.IsSupported ? "AVX-512" : "no AVX-512");
            flags.Add(hasAmxBf16 ? "bf16 tiles (AMX)" : hasAvx512Bf16 ? "bf16 products" : "no bf16 products");
        }

        string found = $"{Environment.ProcessorCount} threads, {RuntimeInformation.ProcessArchitecture} {string.Join(", ", flags)}".TrimEnd();
        return X86Base.IsSupported && !Avx2.IsSupported
            ? new("CPU", NativeCheckStatus.Warning, found, "Use a processor with AVX2: without it everything is several times slower.")
            : new("CPU", NativeCheckStatus.Ok, found);
    }

    private static NativeCheck CheckCuda() => new("CUDA", NativeCheckStatus.Ok,
        cuda.is_available() ? string.Join(", ", Enumerable.Range(0, cuda.device_count()).Select(i => CudaName(device(DeviceType.CUDA, i)))) : "none; computing on the CPU (build with -p:TorchBackend=cuda for a GPU)");

    private static NativeCheck CheckCudaKernels()
    {
        (bool works, string found) = CudaLadders.Probe();
        return works ? new("CUDA kernels", NativeCheckStatus.Ok, found)
            : !cuda.is_available() ? new("CUDA kernels", NativeCheckStatus.Ok, $"none; {found}")
            : new("CUDA kernels", NativeCheckStatus.Warning, $"ladders are composed of tensor operations: {found}",
                "Have NVIDIA's run-time compiler (NVRTC) where it is found: beside libtorch, in a CUDA toolkit (CUDA_HOME) or in a Python environment (VIRTUAL_ENV).");
    }

    private static NativeCheck CheckMemory()
    {
        GCMemoryInfo memory = GC.GetGCMemoryInfo();
        double total = memory.TotalAvailableMemoryBytes / Gibibyte;
        string found = string.Create(CultureInfo.InvariantCulture, $"{total:F1} GiB for this process, this process uses {Environment.WorkingSet / Gibibyte:F1}");
        return total < 2
            ? new("Memory", NativeCheckStatus.Warning, found, "Give the process 2 GiB or more, or use the smallest preset.")
            : new("Memory", NativeCheckStatus.Ok, found);
    }

    private static NativeCheck CheckDisk(string folder)
    {
        double free = new DriveInfo(folder).AvailableFreeSpace / Gibibyte;
        string found = string.Create(CultureInfo.InvariantCulture, $"{free:F1} GiB free, {folder}");
        return free < 2
            ? new("Disk", NativeCheckStatus.Warning, found, $"Free 2 GiB or more in {folder}: checkpoints and token files are written there.")
            : new("Disk", NativeCheckStatus.Ok, found);
    }

    // A doctor that dies of the illness helps nobody: whatever a check throws is its finding.
#pragma warning disable CA1031
    private static NativeCheck Guard(string name, Func<NativeCheck> check)
    {
        try
        {
            return check() with { Name = name };
        }
        catch (Exception error)
        {
            return new NativeCheck(name, NativeCheckStatus.Failed, error.Message, "See the checks above it; the first one that failed is the cause.");
        }
    }
#pragma warning restore CA1031
}
