using System.Runtime.InteropServices;
using CoFrGeNet.Torch.Native;

namespace CoFrGeNet.Torch.Cuda;

/// <summary>
/// The stream that libtorch puts a thread's work into. TorchSharp has no streams; libtorch's stable C interface tells the current one. Where that function
/// is missing it is the default stream, 0: nobody can have set another one through TorchSharp, and libtorch's own streams are made by request only.
/// </summary>
internal static unsafe class TorchStream
{
    private static readonly delegate* unmanaged<int, nint*, int> GetCurrent = Find();

    /// <summary>The calling thread's current stream on a device.</summary>
    public static nint Current(int device)
    {
        nint stream;
        return GetCurrent != null && GetCurrent(device, &stream) == 0 ? stream : 0;
    }

    private static delegate* unmanaged<int, nint*, int> Find()
    {
        string name = OperatingSystem.IsWindows() ? "torch_cuda.dll" : "libtorch_cuda.so";
        string? folder = Path.GetDirectoryName(LibTorch.FindShim());

        // It is loaded already wherever there is a tensor on a CUDA device.
        foreach (string candidate in new[] { name, Path.Combine(folder ?? "", name) })
        {
            if (NativeLibrary.TryLoad(candidate, out nint library)
                && NativeLibrary.TryGetExport(library, "aoti_torch_get_current_cuda_stream", out nint function))
            {
                return (delegate* unmanaged<int, nint*, int>)function;
            }
        }

        return null;
    }
}
