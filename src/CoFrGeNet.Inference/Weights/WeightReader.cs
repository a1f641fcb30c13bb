using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CoFrGeNet.Configuration;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Inference;

/// <summary>
/// Finds the tensors that a configuration needs, checks their types and shapes, and gives their place in memory: in the map of the file, which processes share,
/// or, where a file's type or place does not allow that, in a copy. Owns the source and the copies.
/// </summary>
internal sealed unsafe class WeightReader : IDisposable
{
    private readonly TensorSource _source;
    private readonly HashSet<string> _used = new(StringComparer.Ordinal);
    private readonly List<nint> _copies = [];

    /// <summary>Reads from a source, which it disposes of with itself.</summary>
    /// <param name="source">The open tensors.</param>
    public WeightReader(TensorSource source) => _source = source;

    /// <summary>Frees the copies of a reader that nobody disposed of.</summary>
    ~WeightReader() => Free();

    /// <summary>Bytes that are not in the map of a file.</summary>
    public long CopiedBytes { get; private set; }

    /// <summary>Bytes of the matrices that were asked for, with their scales.</summary>
    public long MatrixBytes { get; private set; }

    /// <summary>The weights of a linear map, of any stored type.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="outputs">Rows.</param>
    /// <param name="inputs">Columns.</param>
    /// <exception cref="UserErrorException">It is missing or of another shape or type.</exception>
    public Matrix Matrix(string name, long outputs, long inputs)
    {
        var matrix = Find(name, outputs, inputs);
        MatrixBytes += matrix.Bytes;
        return matrix;
    }

    /// <summary>Weights that are kept in float32.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="shape">Its shape.</param>
    /// <exception cref="UserErrorException">It is missing or of another shape or type.</exception>
    public float* Vector(string name, params ReadOnlySpan<long> shape)
    {
        var info = Find(name);
        CheckShape(info, shape);
        return Singles(info);
    }

    /// <summary>Memory that lives as long as the weights, for what is laid out anew.</summary>
    /// <param name="count">Number of float32 values.</param>
    public float* Allocate(long count)
    {
        var bytes = checked((nuint)(count * sizeof(float)));
        var memory = NativeMemory.AlignedAlloc(Math.Max(bytes, 64), 64);
        _copies.Add((nint)memory);
        CopiedBytes += (long)bytes;
        return (float*)memory;
    }

    /// <summary>Refuses a source that holds more than was asked for: it belongs to another configuration.</summary>
    /// <exception cref="UserErrorException">It does.</exception>
    public void RequireAllUsed()
    {
        if (_source.Names.FirstOrDefault(name => !_used.Contains(name)) is { } stranger)
        {
            throw new UserErrorException(
                $"{_source.Path} holds a tensor '{stranger}' that the configuration does not know; use the config.json that was saved with these weights.");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Free();
        _source.Dispose();
        GC.SuppressFinalize(this);
    }

    private Matrix Find(string name, long outputs, long inputs)
    {
        var info = Find(name);
        var (rows, columns) = (checked((int)outputs), checked((int)inputs));
        switch (info.DType)
        {
            case TensorDType.I8:
                CheckShape(info, outputs, inputs);
                return new Matrix(WeightType.Int8, Place(info), Scales(name, TensorDType.F32, outputs), rows, columns);
            case TensorDType.U8 when inputs % QuantizedRows.BlockInputs == 0:
                CheckShape(info, outputs, inputs / 2);
                return new Matrix(WeightType.Int4, Place(info), Scales(name, TensorDType.BF16, outputs, inputs / QuantizedRows.BlockInputs), rows, columns);
            case TensorDType.BF16:
                CheckShape(info, outputs, inputs);
                return new Matrix(WeightType.BFloat16, Place(info), null, rows, columns);
            default:
                CheckShape(info, outputs, inputs);
                return new Matrix(WeightType.Float32, (byte*)Singles(info), null, rows, columns);
        }
    }

    private byte* Scales(string name, TensorDType type, params ReadOnlySpan<long> shape)
    {
        var info = Find(name + QuantizedRows.ScaleSuffix);
        CheckShape(info, shape);
        return info.DType == type
            ? Place(info)
            : throw new UserErrorException($"{_source.Path}: tensor '{info.Name}' holds {info.DType.ToHeaderName()}; the scales of '{name}' are {type.ToHeaderName()}.");
    }

    private TensorInfo Find(string name)
    {
        if (!_source.TryGet(name, out var info))
        {
            throw new UserErrorException(
                $"{_source.Path} has no tensor '{name}', which the configuration needs; are config.json and the weights from the same model?");
        }

        _used.Add(name);
        return info;
    }

    private void CheckShape(TensorInfo info, params ReadOnlySpan<long> shape)
    {
        if (!info.Shape.AsSpan().SequenceEqual(shape))
        {
            throw new UserErrorException(
                $"{_source.Path}: tensor '{info.Name}' has shape [{string.Join(", ", info.Shape)}], the configuration needs [{string.Join(", ", shape.ToArray())}]; use the config.json that was saved with these weights.");
        }
    }

    private float* Singles(TensorInfo info)
    {
        if (info.DType == TensorDType.F32)
        {
            return (float*)Place(info);
        }

        if (!info.DType.IsFloat())
        {
            throw new UserErrorException($"{_source.Path}: tensor '{info.Name}' holds {info.DType.ToHeaderName()}; floats are needed.");
        }

        var copy = Allocate(info.ElementCount);
        _source.ReadSingles(info.Name, new Span<float>(copy, checked((int)info.ElementCount)));
        return copy;
    }

    private byte* Place(TensorInfo info)
    {
        if (_source.TryView(info.Name, out var view))
        {
            var place = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(view));
            if ((nint)place % info.DType.SizeInBytes() == 0)
            {
                return place;
            }
        }

        var copy = (byte*)Allocate((info.ByteLength + 3) / 4);
        _source.Read(info.Name, new Span<byte>(copy, checked((int)info.ByteLength)));
        return copy;
    }

    private void Free()
    {
        foreach (var copy in _copies)
        {
            NativeMemory.AlignedFree((void*)copy);
        }

        _copies.Clear();
    }
}
