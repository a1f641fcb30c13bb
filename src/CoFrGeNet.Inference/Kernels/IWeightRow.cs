using System.Runtime.CompilerServices;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Inference;

/// <summary>Reads neighbouring weights of a row as float32, without their scale.</summary>
internal unsafe interface IWeightRow
{
    /// <summary>A register of weights.</summary>
    static abstract TLanes Load<TLanes>(byte* row, nint index)
        where TLanes : unmanaged, ILanes<TLanes>;
}

/// <summary>float32.</summary>
internal readonly unsafe struct Float32Row : IWeightRow
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Load<TLanes>(byte* row, nint index)
        where TLanes : unmanaged, ILanes<TLanes> => TLanes.Load((float*)row + index);
}

/// <summary>bfloat16.</summary>
internal readonly unsafe struct BFloat16Row : IWeightRow
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Load<TLanes>(byte* row, nint index)
        where TLanes : unmanaged, ILanes<TLanes> => TLanes.LoadBFloat16((ushort*)row + index);
}

/// <summary>Signed bytes.</summary>
internal readonly unsafe struct Int8Row : IWeightRow
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Load<TLanes>(byte* row, nint index)
        where TLanes : unmanaged, ILanes<TLanes> => TLanes.LoadBytes((sbyte*)row + index);
}
