using System.Runtime.InteropServices;

namespace CoFrGeNet.Torch.Cuda;

/// <summary>How many blocks of how many threads a kernel is launched with.</summary>
/// <param name="X">Blocks across.</param>
/// <param name="Y">Blocks down, at most 65535.</param>
/// <param name="Threads">Threads a block.</param>
internal readonly record struct CudaGrid(long X, long Y, int Threads);

/// <summary>
/// The few functions of NVIDIA's driver API that loading and launching a kernel takes. Everything runs in a device's primary context, the one that
/// libtorch computes in, so that tensors' addresses are valid and streams are shared.
/// </summary>
internal sealed unsafe class CudaDriver
{
    // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
    private const int MajorAttribute = 75, MinorAttribute = 76;

    private readonly Lock _gate = new();
    private readonly Dictionary<int, nint> _contexts = [];
    private readonly delegate* unmanaged<int, byte**, int> _getErrorName;
    private readonly delegate* unmanaged<int*, int, int> _deviceGet;
    private readonly delegate* unmanaged<int*, int, int, int> _deviceGetAttribute;
    private readonly delegate* unmanaged<byte*, int, int, int> _deviceGetName;
    private readonly delegate* unmanaged<nint*, int, int> _primaryContextRetain;
    private readonly delegate* unmanaged<nint*, int> _contextGetCurrent;
    private readonly delegate* unmanaged<nint, int> _contextPush;
    private readonly delegate* unmanaged<nint*, int> _contextPop;
    private readonly delegate* unmanaged<nint*, void*, int> _moduleLoadData;
    private readonly delegate* unmanaged<nint*, nint, byte*, int> _moduleGetFunction;
    private readonly delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int> _launchKernel;

    /// <summary>Binds the driver and starts it.</summary>
    /// <param name="library">The loaded library.</param>
    /// <exception cref="CudaException">A function is missing, or the driver finds no device.</exception>
    public CudaDriver(nint library)
    {
        nint Export(string name) => NativeLibrary.TryGetExport(library, name, out nint address)
            ? address
            : throw new CudaException($"the driver has no function {name}; it is older than CUDA 11");

        _getErrorName = (delegate* unmanaged<int, byte**, int>)Export("cuGetErrorName");
        _deviceGet = (delegate* unmanaged<int*, int, int>)Export("cuDeviceGet");
        _deviceGetAttribute = (delegate* unmanaged<int*, int, int, int>)Export("cuDeviceGetAttribute");
        _deviceGetName = (delegate* unmanaged<byte*, int, int, int>)Export("cuDeviceGetName");
        _primaryContextRetain = (delegate* unmanaged<nint*, int, int>)Export("cuDevicePrimaryCtxRetain");
        _contextGetCurrent = (delegate* unmanaged<nint*, int>)Export("cuCtxGetCurrent");
        _contextPush = (delegate* unmanaged<nint, int>)Export("cuCtxPushCurrent_v2");
        _contextPop = (delegate* unmanaged<nint*, int>)Export("cuCtxPopCurrent_v2");
        _moduleLoadData = (delegate* unmanaged<nint*, void*, int>)Export("cuModuleLoadData");
        _moduleGetFunction = (delegate* unmanaged<nint*, nint, byte*, int>)Export("cuModuleGetFunction");
        _launchKernel = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)Export("cuLaunchKernel");
        var initialize = (delegate* unmanaged<uint, int>)Export("cuInit");
        Require(initialize(0), "cuInit");
    }

    /// <summary>A device's compute capability, such as (9, 0).</summary>
    /// <exception cref="CudaException">There is no such device.</exception>
    public (int Major, int Minor) Capability(int device)
    {
        int handle = Device(device), major, minor;
        Require(_deviceGetAttribute(&major, MajorAttribute, handle), "cuDeviceGetAttribute");
        Require(_deviceGetAttribute(&minor, MinorAttribute, handle), "cuDeviceGetAttribute");
        return (major, minor);
    }

    /// <summary>A device's name, such as NVIDIA H100 80GB HBM3.</summary>
    /// <exception cref="CudaException">There is no such device.</exception>
    public string Name(int device)
    {
        const int length = 256;
        byte* name = stackalloc byte[length];
        Require(_deviceGetName(name, length, Device(device)), "cuDeviceGetName");
        return Marshal.PtrToStringUTF8((nint)name)!;
    }

    /// <summary>Loads compiled kernels on a device, for as long as the process lives.</summary>
    /// <param name="device">The device's number.</param>
    /// <param name="image">CUBIN, or PTX with a zero at its end.</param>
    /// <exception cref="CudaException">The driver refuses them.</exception>
    public nint Load(int device, ReadOnlySpan<byte> image)
    {
        bool isPushed = Enter(device);
        try
        {
            nint module;
            fixed (byte* data = image)
            {
                Require(_moduleLoadData(&module, data), "cuModuleLoadData");
            }

            return module;
        }
        finally
        {
            Leave(isPushed);
        }
    }

    /// <summary>A kernel of a loaded module.</summary>
    /// <exception cref="CudaException">There is none of this name.</exception>
    public nint Function(int device, nint module, string name)
    {
        bool isPushed = Enter(device);
        nint function, text = Marshal.StringToCoTaskMemUTF8(name);
        try
        {
            Require(_moduleGetFunction(&function, module, (byte*)text), $"cuModuleGetFunction({name})");
            return function;
        }
        finally
        {
            Marshal.FreeCoTaskMem(text);
            Leave(isPushed);
        }
    }

    /// <summary>Puts a kernel into a stream. It has not run when this returns.</summary>
    /// <param name="function">The kernel.</param>
    /// <param name="device">Its device.</param>
    /// <param name="grid">Blocks and threads.</param>
    /// <param name="stream">The stream; 0 is the default stream.</param>
    /// <param name="argument">The kernel's one argument; the driver copies it.</param>
    /// <exception cref="CudaException">The launch fails, or one before it in the same context did.</exception>
    public void Launch(nint function, int device, CudaGrid grid, nint stream, void* argument)
    {
        bool isPushed = Enter(device);
        try
        {
            void** arguments = stackalloc void*[] { argument };
            Require(
                _launchKernel(function, checked((uint)grid.X), checked((uint)grid.Y), 1, (uint)grid.Threads, 1, 1, 0, stream, arguments, null), "cuLaunchKernel");
        }
        finally
        {
            Leave(isPushed);
        }
    }

    private int Device(int number)
    {
        int handle;
        Require(_deviceGet(&handle, number), $"cuDeviceGet({number})");
        return handle;
    }

    // Makes the device's primary context the thread's current one. It mostly is already: libtorch's threads compute in it.
    private bool Enter(int device)
    {
        nint context, current;
        lock (_gate)
        {
            if (!_contexts.TryGetValue(device, out context))
            {
                // Never released: libtorch holds it as long as the process lives, too.
                Require(_primaryContextRetain(&context, Device(device)), "cuDevicePrimaryCtxRetain");
                _contexts.Add(device, context);
            }
        }

        Require(_contextGetCurrent(&current), "cuCtxGetCurrent");
        if (current == context)
        {
            return false;
        }

        Require(_contextPush(context), "cuCtxPushCurrent");
        return true;
    }

    private void Leave(bool isPushed)
    {
        nint context;
        if (isPushed)
        {
            _ = _contextPop(&context);
        }
    }

    private void Require(int result, string call)
    {
        if (result != 0)
        {
            byte* name = null;
            _ = _getErrorName(result, &name);
            throw new CudaException($"{call} failed: {Marshal.PtrToStringUTF8((nint)name) ?? "unknown error"} ({result})");
        }
    }
}
