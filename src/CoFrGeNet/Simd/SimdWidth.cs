using System.Runtime.Intrinsics;

namespace CoFrGeNet.Simd;

/// <summary>The widths that kernels are compiled for.</summary>
internal enum SimdWidth
{
    /// <summary>One lane.</summary>
    Scalar = 1,

    /// <summary>128 bits.</summary>
    Four = 4,

    /// <summary>256 bits.</summary>
    Eight = 8,

    /// <summary>512 bits.</summary>
    Sixteen = 16,
}

/// <summary>Which width this processor is fastest with.</summary>
internal static class SimdWidths
{
    /// <summary>The widest one that runs in hardware.</summary>
    public static SimdWidth Best { get; } =
        Vector512.IsHardwareAccelerated ? SimdWidth.Sixteen
        : Vector256.IsHardwareAccelerated ? SimdWidth.Eight
        : Vector128.IsHardwareAccelerated ? SimdWidth.Four
        : SimdWidth.Scalar;
}
