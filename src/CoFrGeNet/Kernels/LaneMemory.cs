using System.Runtime.CompilerServices;
using CoFrGeNet.Simd;

namespace CoFrGeNet.Kernels;

/// <summary>Reads and writes registers in the type of the memory: <c>float</c>, or <c>ushort</c> for bfloat16.</summary>
internal static unsafe class LaneMemory<TLanes, TElement>
    where TLanes : unmanaged, ILanes<TLanes>
    where TElement : unmanaged
{
    /// <summary>Reads a full register.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Load(TElement* source) =>
        typeof(TElement) == typeof(float) ? TLanes.Load((float*)source) : TLanes.LoadBFloat16((ushort*)source);

    /// <summary>Writes a full register.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(TLanes value, TElement* destination, bool isPastCaches)
    {
        if (typeof(TElement) == typeof(ushort))
        {
            TLanes.StoreBFloat16(value, (ushort*)destination);
        }
        else if (isPastCaches)
        {
            TLanes.StoreNonTemporal(value, (float*)destination);
        }
        else
        {
            TLanes.Store(value, (float*)destination);
        }
    }

    /// <summary>Reads a full register, or the first <paramref name="lanes"/> lanes of one as <see cref="LoadPart"/> does.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes LoadFirst(TElement* source, int lanes) => lanes >= TLanes.Count ? Load(source) : LoadPart(source, lanes);

    /// <summary>Writes a full register, or the first <paramref name="lanes"/> lanes of one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreFirst(TLanes value, TElement* destination, int lanes, bool isPastCaches = false)
    {
        if (lanes >= TLanes.Count)
        {
            Store(value, destination, isPastCaches);
        }
        else
        {
            StorePart(value, destination, lanes);
        }
    }

    /// <summary>Reads the first <paramref name="lanes"/> lanes, 1 or more; the others repeat the last of them, so that they count as ordinary numbers.</summary>
    public static TLanes LoadPart(TElement* source, int lanes)
    {
        TElement* buffer = stackalloc TElement[TLanes.Count];
        for (int i = 0; i < TLanes.Count; i++)
        {
            buffer[i] = source[Math.Min(i, lanes - 1)];
        }

        return Load(buffer);
    }

    /// <summary>Writes the first <paramref name="lanes"/> lanes.</summary>
    public static void StorePart(TLanes value, TElement* destination, int lanes)
    {
        TElement* buffer = stackalloc TElement[TLanes.Count];
        Store(value, buffer, false);
        for (int i = 0; i < lanes; i++)
        {
            destination[i] = buffer[i];
        }
    }
}
