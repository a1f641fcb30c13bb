using System.IO.Compression;

namespace CoFrGeNet.Text;

/// <summary>The content of a file, unpacked where it is gzip or Zstandard, which its first bytes tell.</summary>
internal sealed class UnpackedFile : IDisposable
{
    private readonly string _name;
    private readonly Stream _stream;
    private readonly GzipCheck? _gzip;
    private readonly FileStream? _file;

    private UnpackedFile(string name, FileStream? file, Stream stream, GzipCheck? gzip, bool isPacked)
    {
        _name = name;
        _file = file;
        _stream = stream;
        _gzip = gzip;
        IsPacked = isPacked;
    }

    /// <summary>Whether the content was packed.</summary>
    public bool IsPacked { get; }

    /// <summary>Bytes read so far, as they lie on the disk.</summary>
    public long BytesRead => _file is { CanRead: true } file ? file.Position : 0;

    /// <summary>Takes a stream as it is.</summary>
    public static UnpackedFile Of(Stream stream, string name) => new(name, file: null, stream, gzip: null, isPacked: false);

    /// <summary>Opens a file.</summary>
    /// <exception cref="UserErrorException">It cannot be opened.</exception>
    public static UnpackedFile Open(string path)
    {
        try
        {
            var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            if (!stream.CanSeek)
            {
                stream.Dispose();
                throw new UserErrorException($"'{path}' is a pipe, not a file; pass its content through standard input, as the input -");
            }

            Span<byte> magic = stackalloc byte[4];
            magic = magic[..stream.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false)];
            stream.Position = 0;
            return magic switch
            {
                [0x1f, 0x8b, ..] => new UnpackedFile(path, stream, new GZipStream(stream, CompressionMode.Decompress), new GzipCheck(path), isPacked: true),
                [0x28, 0xb5, 0x2f, 0xfd] => new UnpackedFile(path, stream, new ZstdSharp.DecompressionStream(stream, leaveOpen: false), gzip: null, isPacked: true),
                _ => new UnpackedFile(path, stream, stream, gzip: null, isPacked: false),
            };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"cannot read '{path}': {e.Message}", e);
        }
    }

    /// <summary>Reads what comes next.</summary>
    /// <returns>The number of bytes; 0 at the end, which is then known to be the whole file's.</returns>
    /// <exception cref="UserErrorException">The file is damaged or cannot be read.</exception>
    public int Read(Span<byte> destination)
    {
        try
        {
            var read = _stream.Read(destination);
            if (read == 0 && !destination.IsEmpty)
            {
                _gzip?.VerifyEnd();
            }

            _gzip?.Count(read);
            return read;
        }
        catch (Exception e) when (e is InvalidDataException or ZstdSharp.ZstdException or EndOfStreamException)
        {
            throw new UserErrorException($"'{_name}' is not a whole {(_gzip is null ? "Zstandard" : "gzip")} file: {e.Message}", e);
        }
        catch (IOException e)
        {
            throw new UserErrorException($"cannot read '{_name}': {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();
}
