using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace CoFrGeNet.Weights;

/// <summary>
/// Named tensors on disk, whatever the format. Opening reads and checks names, types and shapes only; data is read when asked for.
/// Several threads may read at once. Elements are taken as they lie in the file, so the machine must be little-endian.
/// </summary>
public abstract class TensorSource : IDisposable
{
    private readonly Dictionary<string, TensorInfo> _byName;

    private protected TensorSource(string path, IReadOnlyList<TensorInfo> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        Path = path;
        Tensors = tensors;
        Metadata = metadata;
        _byName = tensors.ToDictionary(t => t.Name, StringComparer.Ordinal);
    }

    /// <summary>The file or folder.</summary>
    public string Path { get; }

    /// <summary>The tensors in the order of their data.</summary>
    public IReadOnlyList<TensorInfo> Tensors { get; }

    /// <summary>The names of the tensors in the order of their data.</summary>
    public IEnumerable<string> Names => Tensors.Select(t => t.Name);

    /// <summary>The source's string map, for example format = pt; empty if it has none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Finds a tensor.</summary>
    /// <param name="name">Its name.</param>
    /// <exception cref="KeyNotFoundException">There is no such tensor.</exception>
    public TensorInfo this[string name] => _byName.TryGetValue(name, out var info)
        ? info
        : throw new KeyNotFoundException($"{Path}: no tensor '{name}'");

    /// <summary>Whether there is a tensor of a name.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="info">Its type and shape.</param>
    /// <returns>Whether it was found.</returns>
    public bool TryGet(string name, [NotNullWhen(true)] out TensorInfo? info) => _byName.TryGetValue(name, out info);

    /// <summary>Reads a tensor's raw bytes.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="destination">Receives all of it, row-major; exactly <see cref="TensorInfo.ByteLength"/> long.</param>
    /// <exception cref="KeyNotFoundException">There is no such tensor.</exception>
    /// <exception cref="ArgumentException">The destination has another length.</exception>
    /// <exception cref="WeightsFormatException">The file became shorter since it was opened.</exception>
    public void Read(string name, Span<byte> destination)
    {
        var info = this[name];
        if (destination.Length != info.ByteLength)
        {
            throw new ArgumentException($"'{name}' has {info.ByteLength} bytes, the destination {destination.Length}", nameof(destination));
        }

        ReadBytes(info, 0, destination);
    }

    /// <summary>Reads a part of a tensor's raw bytes, for tensors that fit no span or no memory.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="byteOffset">The first byte to read, counted within the tensor.</param>
    /// <param name="destination">Receives the bytes.</param>
    /// <exception cref="KeyNotFoundException">There is no such tensor.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The part lies not within the tensor.</exception>
    /// <exception cref="WeightsFormatException">The file became shorter since it was opened.</exception>
    public void ReadPart(string name, long byteOffset, Span<byte> destination)
    {
        var info = this[name];
        ArgumentOutOfRangeException.ThrowIfNegative(byteOffset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(byteOffset, info.ByteLength - destination.Length);
        ReadBytes(info, byteOffset, destination);
    }

    /// <summary>Reads a floating-point tensor as 32-bit floats, whatever float type the file holds.</summary>
    /// <param name="name">Its name; F64, F32, F16 or BF16.</param>
    /// <param name="destination">Receives the elements in row-major order; exactly <see cref="TensorInfo.ElementCount"/> long.</param>
    /// <exception cref="KeyNotFoundException">There is no such tensor.</exception>
    /// <exception cref="ArgumentException">The destination has another length.</exception>
    /// <exception cref="WeightsFormatException">The tensor is not of a float type, or the file became shorter.</exception>
    public void ReadSingles(string name, Span<float> destination)
    {
        var info = this[name];
        if (destination.Length != info.ElementCount)
        {
            throw new ArgumentException(
                $"'{name}' has {info.ElementCount} elements, the destination {destination.Length}", nameof(destination));
        }

        if (info.DType == TensorDType.F32)
        {
            ReadBytes(info, 0, MemoryMarshal.AsBytes(destination));
            return;
        }

        if (!info.DType.IsFloat())
        {
            throw new WeightsFormatException(Path, $"'{name}' holds {info.DType.ToHeaderName()}, not floats");
        }

        var size = info.DType.SizeInBytes();
        Span<byte> block = stackalloc byte[4096];
        for (var done = 0; done < destination.Length;)
        {
            var count = Math.Min(block.Length / size, destination.Length - done);
            var bytes = block[..(count * size)];
            ReadBytes(info, (long)done * size, bytes);
            Widen(info.DType, bytes, destination.Slice(done, count));
            done += count;
        }
    }

    /// <summary>A tensor's bytes in place, where the source can show them without a copy.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="bytes">The bytes, row-major; valid until the source is disposed of.</param>
    /// <returns>Whether they can be shown.</returns>
    /// <exception cref="KeyNotFoundException">There is no such tensor.</exception>
    /// <exception cref="WeightsFormatException">The tensor is longer than a span can be, or the file became shorter.</exception>
    public virtual bool TryView(string name, out ReadOnlySpan<byte> bytes)
    {
        bytes = [];
        return false;
    }

    /// <summary>Closes the source.</summary>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Reads a part of a tensor; the caller has checked that it lies within.</summary>
    /// <param name="info">The tensor.</param>
    /// <param name="byteOffset">The first byte, counted within the tensor.</param>
    /// <param name="destination">Receives the bytes.</param>
    private protected abstract void ReadBytes(TensorInfo info, long byteOffset, Span<byte> destination);

    /// <summary>Closes what the source holds open.</summary>
    /// <param name="disposing">Whether it was asked for.</param>
    protected abstract void Dispose(bool disposing);

    internal static void Widen(TensorDType type, ReadOnlySpan<byte> source, Span<float> destination)
    {
        switch (type)
        {
            case TensorDType.F64:
                var doubles = MemoryMarshal.Cast<byte, double>(source);
                for (var i = 0; i < destination.Length; i++)
                {
                    destination[i] = (float)doubles[i];
                }

                break;
            case TensorDType.F32:
                source.CopyTo(MemoryMarshal.AsBytes(destination));
                break;
            case TensorDType.F16:
                System.Numerics.Tensors.TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(source), destination);
                break;
            default:
                var upper = MemoryMarshal.Cast<byte, ushort>(source);
                for (var i = 0; i < destination.Length; i++)
                {
                    destination[i] = Unsafe.BitCast<uint, float>((uint)upper[i] << 16);
                }

                break;
        }
    }
}
