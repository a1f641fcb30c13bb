using System.Diagnostics;
using System.Runtime.InteropServices;
using CoFrGeNet.Torch.Cuda;

namespace CoFrGeNet.Torch.Tests.Cuda;

/// <summary>
/// NVIDIA's libraries as Emulation/emulation.cpp stands in for them, built by g++ once a process: the product's own sources, its compiler and driver
/// bindings and its launches, with the CPU for a device. It shows arithmetic, indices and arguments; what a real device does with them it cannot show.
/// </summary>
internal sealed unsafe class EmulatedCuda
{
    private static readonly Lazy<EmulatedCuda?> Built = new(Build);

    private readonly nint _library;
    private readonly string _folder;

    private EmulatedCuda(nint library, string folder)
    {
        _library = library;
        _folder = folder;
        Toolkit = new CudaToolkit(new CudaDriver(library), new NvrtcCompiler(library));
    }

    /// <summary>The emulation, built already.</summary>
    public static EmulatedCuda Current => Built.Value!;

    public CudaToolkit Toolkit { get; }

    /// <summary>Both libraries bound anew, at the first use: what binds and starts them may be made to fail.</summary>
    public Lazy<CudaToolkit> NewToolkit() => new(() => new CudaToolkit(new CudaDriver(_library), new NvrtcCompiler(_library)));

    /// <summary>The options of the last compilation.</summary>
    public string Options => Marshal.PtrToStringUTF8(((delegate* unmanaged<nint>)Export("emulation_options"))())!;

    /// <summary>The stream of the last launch.</summary>
    public nint Stream => ((delegate* unmanaged<nint>)Export("emulation_stream"))();

    /// <summary>How many kernels have been launched since the test began.</summary>
    public int Launches => ((delegate* unmanaged<int>)Export("emulation_launches"))();

    /// <summary>How many contexts this thread has pushed and not popped.</summary>
    public int Contexts => ((delegate* unmanaged<int>)Export("emulation_contexts"))();

    /// <summary>The emulation, with nothing failing; the test is skipped where there is no g++.</summary>
    public static EmulatedCuda OrSkip()
    {
        EmulatedCuda? built = Built.Value;
        Assert.SkipWhen(built is null, "g++ is not on this machine; on Debian it is the package g++");
        built!.Restart();
        return built;
    }

    /// <summary>Undoes what tests have set.</summary>
    public void Restart() => Set("emulation_start", _folder, Path.Combine(AppContext.BaseDirectory, "Cuda", "Emulation", "kernels.h"));

    /// <summary>Makes a function of NVIDIA's fail from now on, or after so many calls that go well; an empty name: none.</summary>
    public void Fail(string call, int code, int after = 0)
    {
        nint text = Marshal.StringToCoTaskMemUTF8(call);
        ((delegate* unmanaged<nint, int, int, void>)Export("emulation_fail"))(text, code, after);
        Marshal.FreeCoTaskMem(text);
    }

    /// <summary>The newest architecture that the compiler claims to know.</summary>
    public void Support(int architecture) => ((delegate* unmanaged<int, void>)Export("emulation_support"))(architecture);

    /// <summary>Changes a piece of the sources before they are compiled: a compiler that is wrong.</summary>
    public void Replace(string text, string other) => Set("emulation_replace", text, other);

    private static EmulatedCuda? Build()
    {
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        string folder = Directory.CreateTempSubdirectory("cofrgenet-cuda-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        string library = Path.Combine(folder, "emulation.so");
        try
        {
            using Process compiler = Process.Start(
                "g++", ["-std=c++17", "-O1", "-shared", "-fPIC", Path.Combine(AppContext.BaseDirectory, "Cuda", "Emulation", "emulation.cpp"), "-o", library, "-ldl"]);
            compiler.WaitForExit();
            Assert.Equal(0, compiler.ExitCode);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }

        nint handle = NativeLibrary.Load(library);
        return new EmulatedCuda(handle, folder);
    }

    private void Set(string name, string first, string second)
    {
        nint one = Marshal.StringToCoTaskMemUTF8(first), other = Marshal.StringToCoTaskMemUTF8(second);
        ((delegate* unmanaged<nint, nint, void>)Export(name))(one, other);
        Marshal.FreeCoTaskMem(one);
        Marshal.FreeCoTaskMem(other);
    }

    private nint Export(string name) => NativeLibrary.GetExport(_library, name);
}
