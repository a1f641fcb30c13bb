using System.Runtime.InteropServices;

namespace CoFrGeNet.Torch.Cuda;

/// <summary>NVIDIA's run-time compiler: CUDA C to what a device runs. It needs neither a toolkit nor headers.</summary>
internal sealed unsafe class NvrtcCompiler
{
    // Results are those of LadderCore: only the multiply-adds that the source asks for, exact division, numbers below the normal ones kept.
    private static readonly string[] Arithmetic = ["--fmad=false", "--prec-div=true", "--ftz=false"];

    private readonly delegate* unmanaged<int, byte*> _getErrorString;
    private readonly delegate* unmanaged<int*, int*, int> _version;
    private readonly delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int> _createProgram;
    private readonly delegate* unmanaged<nint*, int> _destroyProgram;
    private readonly delegate* unmanaged<nint, int, byte**, int> _compileProgram;
    private readonly delegate* unmanaged<nint, nuint*, int> _getLogSize;
    private readonly delegate* unmanaged<nint, byte*, int> _getLog;
    private readonly delegate* unmanaged<nint, nuint*, int> _getPtxSize;
    private readonly delegate* unmanaged<nint, byte*, int> _getPtx;

    // From 11.2 on; null before.
    private readonly delegate* unmanaged<nint, nuint*, int> _getCubinSize;
    private readonly delegate* unmanaged<nint, byte*, int> _getCubin;
    private readonly delegate* unmanaged<int*, int> _getNumSupportedArchs;
    private readonly delegate* unmanaged<int*, int> _getSupportedArchs;

    /// <summary>Binds the compiler.</summary>
    /// <param name="library">The loaded library.</param>
    /// <exception cref="CudaException">A function is missing.</exception>
    public NvrtcCompiler(nint library)
    {
        nint Optional(string name) => NativeLibrary.TryGetExport(library, name, out nint address) ? address : 0;
        nint Export(string name) => Optional(name) is var address and not 0 ? address : throw new CudaException($"the run-time compiler has no function {name}");

        _getErrorString = (delegate* unmanaged<int, byte*>)Export("nvrtcGetErrorString");
        _version = (delegate* unmanaged<int*, int*, int>)Export("nvrtcVersion");
        _createProgram = (delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int>)Export("nvrtcCreateProgram");
        _destroyProgram = (delegate* unmanaged<nint*, int>)Export("nvrtcDestroyProgram");
        _compileProgram = (delegate* unmanaged<nint, int, byte**, int>)Export("nvrtcCompileProgram");
        _getLogSize = (delegate* unmanaged<nint, nuint*, int>)Export("nvrtcGetProgramLogSize");
        _getLog = (delegate* unmanaged<nint, byte*, int>)Export("nvrtcGetProgramLog");
        _getPtxSize = (delegate* unmanaged<nint, nuint*, int>)Export("nvrtcGetPTXSize");
        _getPtx = (delegate* unmanaged<nint, byte*, int>)Export("nvrtcGetPTX");
        _getCubinSize = (delegate* unmanaged<nint, nuint*, int>)Optional("nvrtcGetCUBINSize");
        _getCubin = (delegate* unmanaged<nint, byte*, int>)Optional("nvrtcGetCUBIN");
        _getNumSupportedArchs = (delegate* unmanaged<int*, int>)Optional("nvrtcGetNumSupportedArchs");
        _getSupportedArchs = (delegate* unmanaged<int*, int>)Optional("nvrtcGetSupportedArchs");
        int major, minor;
        Require(_version(&major, &minor), "nvrtcVersion");
        Version = new Version(major, minor);
    }

    /// <summary>The version of CUDA that it compiles for.</summary>
    public Version Version { get; }

    /// <summary>Compiles a source.</summary>
    /// <param name="source">CUDA C.</param>
    /// <param name="name">Its name, for messages.</param>
    /// <param name="definitions">Macros and their values.</param>
    /// <param name="capability">The device's compute capability.</param>
    /// <returns>CUBIN where the compiler knows the device, else PTX with a zero at its end, which the driver compiles further.</returns>
    /// <exception cref="CudaException">It does not compile; the message ends with the compiler's first lines.</exception>
    public byte[] Compile(string source, string name, IEnumerable<(string Name, int Value)> definitions, (int Major, int Minor) capability)
    {
        int device = (10 * capability.Major) + capability.Minor;
        int known = KnownArchitecture(device);
        bool isExact = known == device && _getCubin != null;
        string[] options =
        [
            $"--gpu-architecture={(isExact ? "sm" : "compute")}_{known}", .. Arithmetic, .. definitions.Select(definition => $"-D{definition.Name}={definition.Value}"),
        ];
        nint program;
        nint text = Marshal.StringToCoTaskMemUTF8(source), title = Marshal.StringToCoTaskMemUTF8(name);
        nint[] optionTexts = [.. options.Select(Marshal.StringToCoTaskMemUTF8)];
        try
        {
            Require(_createProgram(&program, (byte*)text, (byte*)title, 0, null, null), "nvrtcCreateProgram");
            try
            {
                fixed (nint* list = optionTexts)
                {
                    int result = _compileProgram(program, options.Length, (byte**)list);
                    return result == 0
                        ? isExact ? Read(program, _getCubinSize, _getCubin) : Read(program, _getPtxSize, _getPtx)
                        : throw new CudaException($"{name} does not compile for compute capability {capability.Major}.{capability.Minor}, {ErrorText(result)}: {Log(program)}");
                }
            }
            finally
            {
                _ = _destroyProgram(&program);
            }
        }
        finally
        {
            Array.ForEach([text, title, .. optionTexts], Marshal.FreeCoTaskMem);
        }
    }

    // The device itself, or else the newest one before it whose PTX it takes.
    private int KnownArchitecture(int device)
    {
        int count = 0;
        if (_getNumSupportedArchs == null || _getSupportedArchs == null || _getNumSupportedArchs(&count) != 0 || count < 1)
        {
            return device;
        }

        var known = new int[count];
        fixed (int* list = known)
        {
            Require(_getSupportedArchs(list), "nvrtcGetSupportedArchs");
        }

        return known.Where(one => one <= device).DefaultIfEmpty(device).Max();
    }

    private byte[] Read(nint program, delegate* unmanaged<nint, nuint*, int> getSize, delegate* unmanaged<nint, byte*, int> get)
    {
        nuint size;
        Require(getSize(program, &size), "reading the compiled kernels' size");
        var image = new byte[checked((int)size)];
        fixed (byte* data = image)
        {
            Require(get(program, data), "reading the compiled kernels");
        }

        return image;
    }

    // The first lines in one: the rest repeats what follows from them.
    private string Log(nint program)
    {
        nuint size;
        if (_getLogSize(program, &size) != 0 || size <= 1)
        {
            return "no log";
        }

        var log = new byte[checked((int)size)];
        fixed (byte* data = log)
        {
            Require(_getLog(program, data), "nvrtcGetProgramLog");
        }

        string[] lines = System.Text.Encoding.UTF8.GetString(log).Split(['\n', '\r', '\0'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return string.Join(" | ", lines.Take(8));
    }

    private string ErrorText(int result) => Marshal.PtrToStringUTF8((nint)_getErrorString(result)) ?? $"error {result}";

    private void Require(int result, string call)
    {
        if (result != 0)
        {
            throw new CudaException($"{call} failed: {ErrorText(result)}");
        }
    }
}
