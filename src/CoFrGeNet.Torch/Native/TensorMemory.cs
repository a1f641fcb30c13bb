using System.Runtime.InteropServices;
using CoFrGeNet.Kernels;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch.Native;

/// <summary>Where the elements of tensors lie, for kernels of our own.</summary>
public static unsafe partial class TensorMemory
{
    // Whoever asks for memory is about to run a kernel.
    static TensorMemory() => OpenMpTeam.Use();

    /// <summary>The first element of a contiguous CPU tensor. The tensor must stay alive while the pointer is used.</summary>
    /// <exception cref="ArgumentException">The tensor lies on another device, is not contiguous or holds elements of another size.</exception>
    public static T* Pointer<T>(Tensor tensor)
        where T : unmanaged
    {
        if (!tensor.is_contiguous() || tensor.ElementSize != sizeof(T))
        {
            throw new ArgumentException(
                $"The tensor is {tensor.dtype}, contiguous: {tensor.is_contiguous()}; needed are contiguous elements of {sizeof(T)} bytes.", nameof(tensor));
        }

        return (T*)Pointer(tensor);
    }

    /// <summary>The first element of a CPU tensor of any strides. The tensor must stay alive while the pointer is used.</summary>
    /// <exception cref="ArgumentException">The tensor lies on another device.</exception>
    public static void* Pointer(Tensor tensor)
    {
        if (tensor.device_type != TorchSharp.DeviceType.CPU)
        {
            throw new ArgumentException($"The tensor lies on {tensor.device}; its memory can be reached on the CPU only.", nameof(tensor));
        }

        // Not TorchSharp's spans, which end at 2^31 bytes.
        return (void*)Data(tensor.Handle);
    }

    /// <summary>The first element of a tensor of any strides, on the device that it lies on. The tensor must stay alive while the address is used.</summary>
    internal static void* Address(Tensor tensor) => (void*)Data(tensor.Handle);

    /// <summary>The address of the first element on whatever device the tensor lies, for libraries that move memory. The tensor must stay alive meanwhile.</summary>
    /// <exception cref="ArgumentException">The tensor is not contiguous.</exception>
    public static nint ContiguousAddress(Tensor tensor) => tensor.is_contiguous()
        ? Data(tensor.Handle)
        : throw new ArgumentException("The tensor is not contiguous.", nameof(tensor));

    /// <summary>Whether a tensor lies on a device. By name: TorchSharp makes a new <see cref="Device"/> each time that it is asked, and compares references.</summary>
    internal static bool IsOn(Tensor tensor, Device device) => tensor.device.ToString() == device.ToString();

    /// <summary>Whether a tensor is float32 and its elements lie one after the other, on whatever device.</summary>
    internal static bool IsPlain(Tensor tensor) => tensor.dtype == ScalarType.Float32 && tensor.is_contiguous();

    /// <summary>The type of a tensor's elements, float32 or bfloat16.</summary>
    internal static ElementType ElementTypeOf(Tensor tensor) => tensor.dtype == ScalarType.BFloat16 ? ElementType.BFloat16 : ElementType.Float32;

    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_data")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static partial nint Data(nint tensor);
}
