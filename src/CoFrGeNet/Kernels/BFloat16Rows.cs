using System.Runtime.Intrinsics;

namespace CoFrGeNet.Kernels;

/// <summary>Conversion between float32 and bfloat16, which is the upper half of a float32, here as its 16 bits.</summary>
public static class BFloat16Rows
{
    /// <summary>Widens; exact.</summary>
    /// <param name="source">bfloat16 bits, [n].</param>
    /// <param name="destination">Receives the values, [n].</param>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void ToSingle(ReadOnlySpan<ushort> source, Span<float> destination)
    {
        CheckLength(source.Length, destination.Length);
        var i = 0;
        if (Vector512.IsHardwareAccelerated)
        {
            for (; i <= source.Length - Vector512<ushort>.Count; i += Vector512<ushort>.Count)
            {
                var (lower, upper) = Vector512.Widen(Vector512.Create(source[i..]));
                (lower << 16).AsSingle().CopyTo(destination[i..]);
                (upper << 16).AsSingle().CopyTo(destination[(i + Vector512<float>.Count)..]);
            }
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            for (; i <= source.Length - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
            {
                var (lower, upper) = Vector256.Widen(Vector256.Create(source[i..]));
                (lower << 16).AsSingle().CopyTo(destination[i..]);
                (upper << 16).AsSingle().CopyTo(destination[(i + Vector256<float>.Count)..]);
            }
        }

        for (; i < source.Length; i++)
        {
            destination[i] = BitConverter.UInt32BitsToSingle((uint)source[i] << 16);
        }
    }

    /// <summary>Rounds to nearest, ties to even; a NaN stays one.</summary>
    /// <param name="source">The values, [n].</param>
    /// <param name="destination">Receives bfloat16 bits, [n].</param>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void FromSingle(ReadOnlySpan<float> source, Span<ushort> destination)
    {
        CheckLength(source.Length, destination.Length);
        var i = 0;
        if (Vector512.IsHardwareAccelerated)
        {
            for (; i <= source.Length - Vector512<ushort>.Count; i += Vector512<ushort>.Count)
            {
                var lower = Round(Vector512.Create(source[i..]));
                var upper = Round(Vector512.Create(source[(i + Vector512<float>.Count)..]));
                Vector512.Narrow(lower, upper).CopyTo(destination[i..]);
            }
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            for (; i <= source.Length - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
            {
                var lower = Round(Vector256.Create(source[i..]));
                var upper = Round(Vector256.Create(source[(i + Vector256<float>.Count)..]));
                Vector256.Narrow(lower, upper).CopyTo(destination[i..]);
            }
        }

        for (; i < source.Length; i++)
        {
            var bits = BitConverter.SingleToUInt32Bits(source[i]);
            destination[i] = (ushort)(float.IsNaN(source[i]) ? (bits >> 16) | 0x40 : (bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
        }
    }

    private static Vector512<uint> Round(Vector512<float> x)
    {
        var bits = x.AsUInt32();
        var rounded = (bits + Vector512.Create(0x7fffu) + ((bits >> 16) & Vector512<uint>.One)) >> 16;
        return Vector512.ConditionalSelect(Vector512.Equals(x, x).AsUInt32(), rounded, (bits >> 16) | Vector512.Create(0x40u));
    }

    private static Vector256<uint> Round(Vector256<float> x)
    {
        var bits = x.AsUInt32();
        var rounded = (bits + Vector256.Create(0x7fffu) + ((bits >> 16) & Vector256<uint>.One)) >> 16;
        return Vector256.ConditionalSelect(Vector256.Equals(x, x).AsUInt32(), rounded, (bits >> 16) | Vector256.Create(0x40u));
    }

    private static void CheckLength(int source, int destination)
    {
        if (source != destination)
        {
            throw new ArgumentException($"The destination has {destination} elements; the source has {source}, and both must agree.");
        }
    }
}
