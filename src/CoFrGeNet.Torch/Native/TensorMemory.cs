using System.Runtime.InteropServices;

namespace CoFrGeNet.Torch.Native;

/// <summary>Where a tensor's elements lie, for kernels of our own.</summary>
public static unsafe partial class TensorMemory
{
    /// <summary>
    /// The first element of a contiguous CPU tensor. The tensor must stay alive while the pointer is used. Spans would end at 2^31 bytes.
    /// </summary>
    /// <exception cref="ArgumentException">The tensor lies on another device, is not contiguous or holds elements of another size.</exception>
    public static T* Pointer<T>(Tensor tensor)
        where T : unmanaged
    {
        if (tensor.device_type != TorchSharp.DeviceType.CPU || !tensor.is_contiguous() || tensor.ElementSize != sizeof(T))
        {
            throw new ArgumentException(
                $"The tensor is {tensor.dtype} on {tensor.device}, contiguous: {tensor.is_contiguous()}; needed are contiguous {sizeof(T)}-byte elements on the CPU.",
                nameof(tensor));
        }

        return (T*)Data(tensor.Handle);
    }

    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_data")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static partial nint Data(nint tensor);
}
