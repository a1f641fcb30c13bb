using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

/// <summary>One call of <see cref="CausalAttentionKernel"/>; a piece is a head of a sequence.</summary>
internal sealed unsafe class CausalCall : ILaneWork
{
    // Threads keep their room from call to call.
    [ThreadStatic]
    private static float[]? _room;

    public required CausalSize Size { get; init; }

    public required void* Qkv { get; init; }

    public required void* O { get; init; }

    public required float* LogSums { get; init; }

    public void* GradO { get; init; }

    /// <summary>Null forward.</summary>
    public void* GradQkv { get; init; }

    public void Piece<TLanes, TElement>(int piece)
        where TLanes : unmanaged, ILanes<TLanes>
        where TElement : unmanaged
    {
        const int alignment = 16;
        var head = new CausalHead<TLanes, TElement>(this, piece);
        long needed = head.RoomSize + alignment;
        if (_room is null || _room.LongLength < needed)
        {
            // Pinned, so that its address stays.
            _room = GC.AllocateUninitializedArray<float>(checked((int)needed), pinned: true);
        }

        fixed (float* room = _room)
        {
            var first = (float*)(((nuint)room + (alignment * sizeof(float)) - 1) & ~(nuint)((alignment * sizeof(float)) - 1));
            if (GradQkv == null)
            {
                head.Forward(first);
            }
            else
            {
                head.Backward(first);
            }
        }
    }
}
