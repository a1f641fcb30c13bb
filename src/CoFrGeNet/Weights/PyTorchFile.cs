using System.IO.Compression;

namespace CoFrGeNet.Weights;

/// <summary>
/// A PyTorch checkpoint (.pt, .pth, .bin) in the zip format of PyTorch 1.6 and later, opened for reading its tensors. Nothing in it is ever
/// executed: <see cref="PickleMachine"/> knows tensors in containers and refuses the rest. Tensors in nested dictionaries are named by their path with
/// dots, <c>model.wte.weight</c>; numbers, texts and truth values on the way are <see cref="TensorSource.Metadata"/>.
/// </summary>
public sealed class PyTorchFile : TensorSource
{
    // Strided tensors are put in order from the whole storage in memory.
    private const int MaxStridedBytes = 1 << 30;

    private readonly ZipArchive _archive;
    private readonly string _root;
    private readonly Dictionary<string, PickleTensor> _views;
    private readonly Lock _lock = new();
    private (string Key, byte[] Bytes)? _storage;

    private PyTorchFile(string path, ZipArchive archive, string root, PickleTensors content)
        : base(path, content.Infos, content.Values)
    {
        _archive = archive;
        _root = root;
        _views = content.Views;
    }

    /// <summary>Opens a file, reads its pickle and checks every tensor against its storage.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The open file; dispose it.</returns>
    /// <exception cref="UserErrorException">The file is missing or cannot be opened.</exception>
    /// <exception cref="WeightsFormatException">The file is damaged, of the old format, or holds more than tensors and plain values.</exception>
    public static PyTorchFile Open(string path)
    {
        var handle = WeightFiles.OpenHandle(path);
        var stream = new FileStream(handle, FileAccess.Read, bufferSize: 1 << 16);
        try
        {
            CheckFormat(path, stream);
            return Guarded(path, () => Open(path, stream));
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    private protected override void ReadBytes(TensorInfo info, long byteOffset, Span<byte> destination)
    {
        var view = _views[info.Name];
        lock (_lock)
        {
            if (IsContiguous(view))
            {
                ReadStorage(view.Storage.Key, info.ByteOffset + byteOffset, destination);
            }
            else
            {
                Gather(view, byteOffset, WholeStorage(view.Storage), destination);
            }
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _archive.Dispose();
        }
    }

    private static void CheckFormat(string path, FileStream stream)
    {
        Span<byte> start = stackalloc byte[4];
        var read = stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        stream.Position = 0;
        if (read == start.Length && start.SequenceEqual("PK\x03\x04"u8))
        {
            return;
        }

        throw new WeightsFormatException(path, read > 1 && start[0] == 0x80 && start[1] is >= 2 and <= 5
            ? "this is a bare pickle, the format of PyTorch before 1.6, which is not read; load it in PyTorch and save it again with torch.save"
            : "this is not a PyTorch checkpoint: it is no zip archive");
    }

    private static PyTorchFile Open(string path, FileStream stream)
    {
        var archive = new ZipArchive(stream, ZipArchiveMode.Read);
        ZipArchiveEntry? pickle = null;
        foreach (var entry in archive.Entries)
        {
            if (entry.Name == "data.pkl")
            {
                pickle = pickle is null ? entry : throw new WeightsFormatException(path, "the archive holds data.pkl twice");
            }
        }

        if (pickle is null)
        {
            throw new WeightsFormatException(path, "the archive holds no data.pkl; it is not a PyTorch checkpoint");
        }

        var root = pickle.FullName[..^pickle.Name.Length];
        if (archive.GetEntry(root + "byteorder") is { } order && !ReadAll(path, order, 16).AsSpan().SequenceEqual("little"u8))
        {
            throw new WeightsFormatException(path, "the checkpoint was written on a big-endian machine, which is not read");
        }

        var value = PickleMachine.Read(path, ReadAll(path, pickle, PickleMachine.MaxLength));
        var content = PickleTensors.Of(path, value);
        foreach (var (key, type, count) in content.Views.Values.Select(view => view.Storage).Distinct())
        {
            var length = EntryOf(path, archive, root, key).Length;
            if (length > stream.Length)
            {
                // The archive's directory may say anything, and what it says is what reading will ask memory for.
                throw new WeightsFormatException(path, $"storage '{key}' has {length} bytes by the archive's directory, but the file has {stream.Length}: truncated?");
            }

            if (length < count * type.SizeInBytes())
            {
                throw new WeightsFormatException(path, $"storage '{key}' has {length} bytes; {count} elements of {type.ToHeaderName()} need {count * type.SizeInBytes()}");
            }
        }

        return new PyTorchFile(path, archive, root, content);
    }

    private static ZipArchiveEntry EntryOf(string path, ZipArchive archive, string root, string key)
    {
        var entry = archive.GetEntry($"{root}data/{key}") ?? throw new WeightsFormatException(path, $"the archive holds no storage '{key}'");
        return CheckStored(path, entry);
    }

    // torch.save never compresses; an archive that does could be far larger than its file.
    private static ZipArchiveEntry CheckStored(string path, ZipArchiveEntry entry) => entry.CompressedLength == entry.Length
        ? entry
        : throw new WeightsFormatException(path, $"'{SafeTensorsHeader.Shorten(entry.FullName)}' is compressed, which PyTorch never does");

    private static byte[] ReadAll(string path, ZipArchiveEntry entry, int limit)
    {
        if (CheckStored(path, entry).Length > limit)
        {
            throw new WeightsFormatException(path, $"'{SafeTensorsHeader.Shorten(entry.FullName)}' has {entry.Length} bytes; {limit} are allowed");
        }

        using var stream = entry.Open();
        var bytes = new byte[entry.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }

    // What the archive's reader throws for damaged archives becomes the one error of damaged files.
    private static T Guarded<T>(string path, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is InvalidDataException or IOException or ArgumentException or NotSupportedException or OverflowException)
        {
            throw new WeightsFormatException(path, $"the archive is damaged: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    private static bool IsContiguous(PickleTensor view)
    {
        long step = 1;
        for (var i = view.Shape.Length - 1; i >= 0; i--)
        {
            if (view.Shape[i] != 1 && view.Strides[i] != step)
            {
                return view.Shape.Contains(0);
            }

            step *= Math.Max(view.Shape[i], 1);
        }

        return true;
    }

    private static void Gather(PickleTensor view, long byteOffset, byte[] storage, Span<byte> destination)
    {
        var size = view.Storage.DType.SizeInBytes();
        for (long done = 0; done < destination.Length;)
        {
            var (element, within) = Math.DivRem(byteOffset + done, size);
            var position = view.Offset;
            for (var i = view.Shape.Length - 1; i >= 0; i--)
            {
                (element, var index) = Math.DivRem(element, view.Shape[i]);
                position += index * view.Strides[i];
            }

            var count = (int)Math.Min(size - within, destination.Length - done);
            storage.AsSpan((int)((position * size) + within), count).CopyTo(destination[(int)done..]);
            done += count;
        }
    }

    private byte[] WholeStorage(PickleStorage storage)
    {
        if (_storage is { } kept && kept.Key == storage.Key)
        {
            return kept.Bytes;
        }

        var length = storage.Count * storage.DType.SizeInBytes();
        if (length > MaxStridedBytes)
        {
            throw new WeightsFormatException(Path, $"storage '{storage.Key}' has {length} bytes and is shown out of order; make such tensors contiguous before saving them");
        }

        var bytes = new byte[length];
        ReadStorage(storage.Key, 0, bytes);
        _storage = (storage.Key, bytes);
        return bytes;
    }

    private void ReadStorage(string key, long offset, Span<byte> destination)
    {
        try
        {
            using var stream = EntryOf(Path, _archive, _root, key).Open();
            Skip(stream, offset);
            stream.ReadExactly(destination);
        }
        catch (Exception e) when (e is InvalidDataException or IOException or ArgumentException or NotSupportedException)
        {
            throw new WeightsFormatException(Path, $"storage '{key}' cannot be read: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    private static void Skip(Stream stream, long count)
    {
        if (stream.CanSeek)
        {
            stream.Position = count;
            return;
        }

        Span<byte> block = stackalloc byte[4096];
        for (; count > 0; count -= Math.Min(count, block.Length))
        {
            stream.ReadExactly(block[..(int)Math.Min(count, block.Length)]);
        }
    }
}
