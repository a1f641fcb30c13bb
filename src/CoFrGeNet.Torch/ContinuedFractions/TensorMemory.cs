using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CoFrGeNet.Kernels;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>The memory of CPU tensors, for kernels.</summary>
internal static unsafe class TensorMemory
{
    /// <summary>The address of the first element; valid while the tensor lives. The tensor must have elements.</summary>
    public static void* Pointer(Tensor tensor)
    {
        // TorchSharp shows the memory of contiguous tensors only; one element is always contiguous.
        using (no_grad())
        {
            using Tensor first = tensor.as_strided([1], [1], tensor.storage_offset());
            return Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
        }
    }

    /// <summary>The type of a tensor's elements.</summary>
    public static ElementType ElementTypeOf(Tensor tensor) => tensor.dtype == ScalarType.BFloat16 ? ElementType.BFloat16 : ElementType.Float32;
}
