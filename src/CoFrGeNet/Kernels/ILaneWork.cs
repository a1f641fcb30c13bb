using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

/// <summary>Work in pieces that is written once for every register width and element type.</summary>
internal interface ILaneWork
{
    /// <summary>Does one piece.</summary>
    /// <typeparam name="TLanes">The registers.</typeparam>
    /// <typeparam name="TElement">float, or ushort for bfloat16.</typeparam>
    /// <param name="piece">Its number, from 0.</param>
    public void Piece<TLanes, TElement>(int piece)
        where TLanes : unmanaged, ILanes<TLanes>
        where TElement : unmanaged;
}
