namespace CoFrGeNet.Weights;

/// <summary>A tensor of a file: its name, type and shape, and where its data lies.</summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="DType">The type of its elements.</param>
/// <param name="Shape">Its extents, outermost first; empty for a scalar. Row-major.</param>
/// <param name="ByteOffset">Where its data begins, in bytes from the start of the file, or of its storage in a PyTorch file.</param>
/// <param name="ByteLength">The length of its data in bytes.</param>
public sealed record TensorInfo(string Name, TensorDType DType, long[] Shape, long ByteOffset, long ByteLength)
{
    /// <summary>The number of elements: the product of the shape, 1 for a scalar.</summary>
    public long ElementCount => ByteLength / DType.SizeInBytes();
}
