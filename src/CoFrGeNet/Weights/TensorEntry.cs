using System.Runtime.InteropServices;

namespace CoFrGeNet.Weights;

/// <summary>A tensor to be written. Its data is asked for only when its turn comes, so a model is never in memory twice.</summary>
/// <param name="Name">The tensor's name; not "__metadata__".</param>
/// <param name="DType">The type of its elements.</param>
/// <param name="Shape">Its extents, outermost first; empty for a scalar.</param>
/// <param name="Write">Writes exactly the tensor's bytes, row-major and little-endian.</param>
public sealed record TensorEntry(string Name, TensorDType DType, long[] Shape, Action<Stream> Write)
{
    /// <summary>The bytes of the tensor by its shape and type.</summary>
    /// <exception cref="OverflowException">The shape does not fit 2^63 bytes.</exception>
    public long ByteLength => Shape.Aggregate((long)DType.SizeInBytes(), (bytes, extent) => checked(bytes * extent));

    /// <summary>Makes an F32 tensor from memory.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="shape">Its extents, outermost first.</param>
    /// <param name="values">Its elements, row-major; as many as the shape says.</param>
    /// <returns>The entry.</returns>
    public static TensorEntry FromSingles(string name, long[] shape, ReadOnlyMemory<float> values) =>
        new(name, TensorDType.F32, shape, stream => stream.Write(MemoryMarshal.AsBytes(values.Span)));

    /// <summary>Makes a tensor from the bytes as they stand in the file.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="type">The type of its elements.</param>
    /// <param name="shape">Its extents, outermost first.</param>
    /// <param name="bytes">Its data, row-major and little-endian; as many bytes as the shape and type say.</param>
    /// <returns>The entry.</returns>
    public static TensorEntry FromBytes(string name, TensorDType type, long[] shape, ReadOnlyMemory<byte> bytes) =>
        new(name, type, shape, stream => stream.Write(bytes.Span));
}
