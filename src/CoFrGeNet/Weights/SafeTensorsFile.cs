using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace CoFrGeNet.Weights;

/// <summary>
/// A safetensors file opened for reading. Opening reads and checks the header only; data is read when asked for.
/// Several threads may read at once. Elements are taken as they lie in the file, so the machine must be little-endian.
/// </summary>
public sealed class SafeTensorsFile : IDisposable
{
    private readonly SafeFileHandle _handle;
    private readonly Dictionary<string, TensorInfo> _byName;

    private SafeTensorsFile(string path, SafeFileHandle handle, SafeTensorsHeader header)
    {
        Path = path;
        _handle = handle;
        Tensors = header.Tensors;
        Metadata = header.Metadata;
        _byName = header.Tensors.ToDictionary(t => t.Name, StringComparer.Ordinal);
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The tensors in the order of their data.</summary>
    public IReadOnlyList<TensorInfo> Tensors { get; }

    /// <summary>The names of the tensors in the order of their data.</summary>
    public IEnumerable<string> Names => Tensors.Select(t => t.Name);

    /// <summary>The file's string map, for example format = pt; empty if it has none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Finds a tensor.</summary>
    /// <param name="name">Its name.</param>
    /// <exception cref="KeyNotFoundException">The file has no such tensor.</exception>
    public TensorInfo this[string name] => _byName.TryGetValue(name, out var info)
        ? info
        : throw new KeyNotFoundException($"{Path}: no tensor '{name}'");

    /// <summary>Opens a file and checks its header.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The open file; dispose it.</returns>
    /// <exception cref="UserErrorException">The file is missing or cannot be opened.</exception>
    /// <exception cref="WeightsFormatException">The file is not a valid safetensors file.</exception>
    public static SafeTensorsFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        SafeFileHandle handle;
        try
        {
            handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read, FileOptions.RandomAccess);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"cannot open weights '{path}': {e.Message}", e);
        }

        try
        {
            return new SafeTensorsFile(path, handle, ReadHeader(path, handle));
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Whether the file has a tensor.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="info">Where it lies.</param>
    /// <returns>Whether it was found.</returns>
    public bool TryGet(string name, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out TensorInfo? info) =>
        _byName.TryGetValue(name, out info);

    /// <summary>Reads a tensor's raw bytes.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="destination">Receives all of it; exactly <see cref="TensorInfo.ByteLength"/> long.</param>
    /// <exception cref="KeyNotFoundException">The file has no such tensor.</exception>
    /// <exception cref="ArgumentException">The destination has another length.</exception>
    /// <exception cref="WeightsFormatException">The file became shorter since it was opened.</exception>
    public void Read(string name, Span<byte> destination)
    {
        var info = this[name];
        if (destination.Length != info.ByteLength)
        {
            throw new ArgumentException($"'{name}' has {info.ByteLength} bytes, the destination {destination.Length}", nameof(destination));
        }

        Read(info, 0, destination);
    }

    /// <summary>Reads a part of a tensor's raw bytes, for tensors that fit no span or no memory.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="byteOffset">The first byte to read, counted within the tensor.</param>
    /// <param name="destination">Receives the bytes.</param>
    /// <exception cref="KeyNotFoundException">The file has no such tensor.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The part lies not within the tensor.</exception>
    /// <exception cref="WeightsFormatException">The file became shorter since it was opened.</exception>
    public void ReadPart(string name, long byteOffset, Span<byte> destination)
    {
        var info = this[name];
        ArgumentOutOfRangeException.ThrowIfNegative(byteOffset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(byteOffset, info.ByteLength - destination.Length);
        Read(info, byteOffset, destination);
    }

    /// <summary>Reads a floating-point tensor as 32-bit floats, whatever float type the file holds.</summary>
    /// <param name="name">Its name; F64, F32, F16 or BF16.</param>
    /// <param name="destination">Receives the elements in row-major order; exactly <see cref="TensorInfo.ElementCount"/> long.</param>
    /// <exception cref="KeyNotFoundException">The file has no such tensor.</exception>
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
            Read(info, 0, MemoryMarshal.AsBytes(destination));
            return;
        }

        if (info.DType is not (TensorDType.F64 or TensorDType.F16 or TensorDType.BF16))
        {
            throw new WeightsFormatException(Path, $"'{name}' holds {info.DType.ToHeaderName()}, not floats");
        }

        var size = info.DType.SizeInBytes();
        Span<byte> block = stackalloc byte[4096];
        for (var done = 0; done < destination.Length;)
        {
            var count = Math.Min(block.Length / size, destination.Length - done);
            var bytes = block[..(count * size)];
            Read(info, (long)done * size, bytes);
            Widen(info.DType, bytes, destination.Slice(done, count));
            done += count;
        }
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _handle.Dispose();

    private static SafeTensorsHeader ReadHeader(string path, SafeFileHandle handle)
    {
        var fileLength = RandomAccess.GetLength(handle);
        Span<byte> prefix = stackalloc byte[SafeTensorsHeader.LengthBytes];
        if (fileLength < prefix.Length)
        {
            throw new WeightsFormatException(path, $"{fileLength} bytes are too few for a safetensors file");
        }

        ReadExactly(path, handle, prefix, 0);
        var length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > SafeTensorsHeader.MaxLength)
        {
            throw new WeightsFormatException(path, $"a header of {length} bytes is over the limit of {SafeTensorsHeader.MaxLength}");
        }

        var dataStart = prefix.Length + (long)length;
        if (dataStart > fileLength)
        {
            throw new WeightsFormatException(path, $"the header takes {length} bytes, but the file ends after {fileLength}: truncated?");
        }

        var json = new byte[length];
        ReadExactly(path, handle, json, prefix.Length);
        return SafeTensorsHeaderParser.Parse(path, json, dataStart, fileLength - dataStart);
    }

    private static void Widen(TensorDType type, ReadOnlySpan<byte> source, Span<float> destination)
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

    private static void ReadExactly(string path, SafeFileHandle handle, Span<byte> destination, long position)
    {
        while (!destination.IsEmpty)
        {
            var read = RandomAccess.Read(handle, destination, position);
            if (read == 0)
            {
                throw new WeightsFormatException(path, "the file became shorter while it was read");
            }

            destination = destination[read..];
            position += read;
        }
    }

    private void Read(TensorInfo info, long byteOffset, Span<byte> destination) =>
        ReadExactly(Path, _handle, destination, info.ByteOffset + byteOffset);
}
