using CoFrGeNet.Configuration;
using CoFrGeNet.Kernels;

namespace CoFrGeNet.Torch.Cuda;

/// <summary>What a module of kernels is compiled for.</summary>
/// <param name="Device">The device's number.</param>
/// <param name="Depth">d.</param>
/// <param name="Guard">The kind of guard; its epsilon is an argument.</param>
/// <param name="Element">The type at the edges.</param>
internal readonly record struct CudaVariant(int Device, int Depth, Type Guard, ElementType Element)
{
    /// <summary>The macros of ladder.cu.</summary>
    public IEnumerable<(string Name, int Value)> Definitions =>
    [
        ("DEPTH", Depth),
        ("GUARD", Guard == typeof(ClampGuard) ? 0 : Guard == typeof(SmoothGuard) ? 1 : 2),
        ("ELEMENT", Element == ElementType.Float32 ? 0 : 1),
    ];
}
