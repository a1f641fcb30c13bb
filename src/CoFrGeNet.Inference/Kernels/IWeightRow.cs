using System.Runtime.CompilerServices;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Inference;

/// <summary>Reads neighbouring weights of a row as float32, without their scale.</summary>
internal unsafe interface IWeightRow
{
    /// <summary>Bytes of a weight.</summary>
    static abstract int Size { get; }

    /// <summary>A register of weights.</summary>
    static abstract TLanes Load<TLanes>(byte* row, nint index)
        where TLanes : unmanaged, ILanes<TLanes>;
}

/// <summary>float32.</summary>
internal readonly unsafe struct Float32Row : IWeightRow
{
    public static int Size
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => sizeof(float);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Load<TLanes>(byte* row, nint index)
        where TLanes : unmanaged, ILanes<TLanes> => TLanes.Load((float*)row + index);
}

/// <summary>bfloat16.</summary>
internal readonly unsafe struct BFloat16Row : IWeightRow
{
    public static int Size
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => sizeof(ushort);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Load<TLanes>(byte* row, nint index)
        where TLanes : unmanaged, ILanes<TLanes> => TLanes.LoadBFloat16((ushort*)row + index);
}

/// <summary>Signed bytes.</summary>
internal readonly unsafe struct Int8Row : IWeightRow
{
    public static int Size
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => sizeof(sbyte);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Load<TLanes>(byte* row, nint index)
        where TLanes : unmanaged, ILanes<TLanes> => TLanes.LoadBytes((sbyte*)row + index);
}
