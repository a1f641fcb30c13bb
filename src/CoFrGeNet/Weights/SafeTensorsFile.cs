using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace CoFrGeNet.Weights;

/// <summary>
/// A safetensors file opened for reading: by copies (<see cref="TensorSource.Read"/> and its kin), or in place through a memory map
/// (<see cref="View"/>).
/// </summary>
public sealed class SafeTensorsFile : TensorSource
{
    private readonly SafeFileHandle _handle;
    private readonly Lock _mapLock = new();
    private MemoryMappedFile? _map;
    private MemoryMappedViewAccessor? _view;

    private SafeTensorsFile(string path, SafeFileHandle handle, SafeTensorsHeader header)
        : base(path, header.Tensors, header.Metadata) => _handle = handle;

    /// <summary>Opens a file and checks its header.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The open file; dispose it.</returns>
    /// <exception cref="UserErrorException">The file is missing or cannot be opened.</exception>
    /// <exception cref="WeightsFormatException">The file is not a valid safetensors file.</exception>
    public static SafeTensorsFile Open(string path)
    {
        var handle = WeightFiles.OpenHandle(path);
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

    /// <summary>
    /// A tensor's bytes in place, without a copy: the file is mapped into memory at the first call, and pages come from the disk when they
    /// are touched. Not for files that another program may shorten meanwhile, which would end the process.
    /// </summary>
    /// <param name="name">Its name.</param>
    /// <returns>The bytes, row-major; valid until the file is disposed of.</returns>
    /// <exception cref="KeyNotFoundException">The file has no such tensor.</exception>
    /// <exception cref="WeightsFormatException">The tensor is longer than a span can be; read it in parts.</exception>
    public unsafe ReadOnlySpan<byte> View(string name)
    {
        var info = this[name];
        if (info.ByteLength == 0)
        {
            return [];
        }

        if (info.ByteLength > int.MaxValue)
        {
            throw new WeightsFormatException(Path, $"'{name}' has {info.ByteLength} bytes, more than one view can show; read it in parts");
        }

        lock (_mapLock)
        {
            ObjectDisposedException.ThrowIf(_handle.IsClosed, this);
            _map ??= MemoryMappedFile.CreateFromFile(_handle, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            _view ??= _map.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
            if (info.ByteOffset + info.ByteLength > _view.Capacity)
            {
                throw BecameShorter(Path);
            }

            // The accessor keeps the map until it is disposed of with the file, so the pointer needs no reference of its own.
            return new ReadOnlySpan<byte>((byte*)_view.SafeMemoryMappedViewHandle.DangerousGetHandle() + info.ByteOffset, (int)info.ByteLength);
        }
    }

    /// <inheritdoc/>
    public override bool TryView(string name, out ReadOnlySpan<byte> bytes)
    {
        bytes = View(name);
        return true;
    }

    /// <inheritdoc/>
    private protected override void ReadBytes(TensorInfo info, long byteOffset, Span<byte> destination) =>
        ReadExactly(Path, _handle, destination, info.ByteOffset + byteOffset);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _view?.Dispose();
            _map?.Dispose();
            _handle.Dispose();
        }
    }

    /// <summary>Fills a span from a file.</summary>
    /// <exception cref="WeightsFormatException">The file ends before.</exception>
    internal static void ReadExactly(string path, SafeFileHandle handle, Span<byte> destination, long position)
    {
        while (!destination.IsEmpty)
        {
            var read = RandomAccess.Read(handle, destination, position);
            if (read == 0)
            {
                throw BecameShorter(path);
            }

            destination = destination[read..];
            position += read;
        }
    }

    private static WeightsFormatException BecameShorter(string path) => new(path, "the file became shorter while it was read");

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
}
