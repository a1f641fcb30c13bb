using System.Buffers.Binary;
using System.IO.Compression;

namespace CoFrGeNet.Text;

/// <summary>
/// Finds out whether a gzip file was cut short, which GZipStream does not tell: it then ends as if the content did.
/// A whole file ends with the checksum and the length of its last member.
/// </summary>
internal sealed class GzipCheck
{
    private const int TrailerBytes = 8;
    private const int SmallestMember = 18;

    private readonly string _path;
    private long _unpacked;

    /// <summary>Prepares to check a file.</summary>
    public GzipCheck(string path) => _path = path;

    /// <summary>Notes that bytes were unpacked.</summary>
    public void Count(int bytes) => _unpacked += bytes;

    /// <summary>Call when the content has ended.</summary>
    /// <exception cref="InvalidDataException">The file was cut short.</exception>
    public void VerifyEnd()
    {
        using var file = File.OpenRead(_path);
        if (file.Length < SmallestMember)
        {
            throw Truncated();
        }

        Span<byte> trailer = stackalloc byte[TrailerBytes];
        file.Position = file.Length - TrailerBytes;
        file.ReadExactly(trailer);
        var lastMember = BinaryPrimitives.ReadUInt32LittleEndian(trailer[4..]);
        if (lastMember == unchecked((uint)_unpacked))
        {
            return;
        }

        // Not one member: if it is several, the last one's checksum fits the end of the content.
        file.Position = 0;
        if (lastMember > _unpacked || ChecksumOfEnd(file, lastMember) != BinaryPrimitives.ReadUInt32LittleEndian(trailer))
        {
            throw Truncated();
        }
    }

    private static InvalidDataException Truncated() => new("it was cut short");

    private uint ChecksumOfEnd(FileStream file, uint length)
    {
        using var unpacked = new GZipStream(file, CompressionMode.Decompress, leaveOpen: true);
        var block = new byte[1 << 16];
        var skip = _unpacked - length;
        var checksum = ~0U;
        for (int read; (read = unpacked.Read(block)) > 0;)
        {
            var skipped = (int)Math.Min(skip, read);
            skip -= skipped;
            checksum = Crc32(checksum, block.AsSpan(skipped, read - skipped));
        }

        return ~checksum;
    }

    private static uint Crc32(uint checksum, ReadOnlySpan<byte> bytes)
    {
        foreach (var b in bytes)
        {
            checksum ^= b;
            for (var bit = 0; bit < 8; bit++)
            {
                checksum = (checksum >> 1) ^ (0xEDB88320U & (0U - (checksum & 1)));
            }
        }

        return checksum;
    }
}
