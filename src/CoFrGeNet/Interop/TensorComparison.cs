using CoFrGeNet.Weights;

namespace CoFrGeNet.Interop;

/// <summary>Compares tensors bit by bit, in pieces.</summary>
internal static class TensorComparison
{
    private const int PieceBytes = 1 << 20;

    /// <summary>Whether two tensors have the same type, shape and bits.</summary>
    public static bool AreEqual(TensorSource first, string firstName, TensorSource second, string secondName)
    {
        if (!first.TryGet(firstName, out var a) || !second.TryGet(secondName, out var b) || a.DType != b.DType || !a.Shape.AsSpan().SequenceEqual(b.Shape))
        {
            return false;
        }

        var size = (int)Math.Min(PieceBytes, a.ByteLength);
        byte[] left = new byte[size], right = new byte[size];
        for (long done = 0; done < a.ByteLength; done += size)
        {
            size = (int)Math.Min(size, a.ByteLength - done);
            first.ReadPart(firstName, done, left.AsSpan(0, size));
            second.ReadPart(secondName, done, right.AsSpan(0, size));
            if (!left.AsSpan(0, size).SequenceEqual(right.AsSpan(0, size)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The first name whose tensor differs between two sources or is in one only, or null where they are equal.</summary>
    public static string? FirstDifference(TensorSource expected, TensorSource actual) =>
        expected.Names.FirstOrDefault(name => !AreEqual(expected, name, actual, name)) ?? actual.Names.FirstOrDefault(name => !expected.TryGet(name, out _));

    /// <summary>A tensor for the writer, copied in pieces when its turn comes.</summary>
    public static TensorEntry Entry(TensorSource source, TensorInfo info) => new(info.Name, info.DType, info.Shape, stream =>
    {
        var piece = new byte[Math.Min(PieceBytes, info.ByteLength)];
        for (long done = 0; done < info.ByteLength; done += piece.Length)
        {
            var count = (int)Math.Min(piece.Length, info.ByteLength - done);
            source.ReadPart(info.Name, done, piece.AsSpan(0, count));
            stream.Write(piece.AsSpan(0, count));
        }
    });
}
