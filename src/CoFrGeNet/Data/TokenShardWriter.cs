using System.Buffers.Binary;
using CoFrGeNet.Storage;

namespace CoFrGeNet.Data;

/// <summary>
/// Writes ids into files of equal length. A file is written aside, flushed and renamed, so that one that carries its name is whole. Not for several threads.
/// </summary>
public sealed class TokenShardWriter : IDisposable
{
    private const string Aside = ".tmp";

    private readonly string _folder;
    private readonly string _name;
    private readonly TokenLayout _layout;
    private readonly int _bytesPerToken;
    private readonly long _shardTokens;
    private readonly Action<ManifestShard, int> _finished;
    private readonly byte[] _buffer = new byte[1 << 18];
    private FileStream? _stream;
    private int _index;
    private long _count;

    /// <summary>Prepares to write; no file is made before the first id.</summary>
    /// <param name="folder">An existing folder.</param>
    /// <param name="name">What the files are called: NAME_000000.bin, or NAME.bin where all goes into one.</param>
    /// <param name="layout">How they are laid out.</param>
    /// <param name="bytesPerToken">2 or 4.</param>
    /// <param name="shardTokens">Tokens of a file; <see cref="long.MaxValue"/>: everything in one.</param>
    /// <param name="firstIndex">The number of the first file.</param>
    /// <param name="finished">Hears of each file that is whole, and how many ids of the <see cref="Write"/> at hand are in it and those before it.</param>
    public TokenShardWriter(
        string folder, string name, TokenLayout layout, int bytesPerToken, long shardTokens, int firstIndex, Action<ManifestShard, int> finished)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(shardTokens, 1);
        _folder = folder;
        _name = name;
        _layout = layout;
        _bytesPerToken = bytesPerToken is 2 or 4 ? bytesPerToken : throw new ArgumentOutOfRangeException(nameof(bytesPerToken), bytesPerToken, "must be 2 or 4");
        _shardTokens = shardTokens;
        _index = firstIndex;
        _finished = finished;
    }

    private string FileName => _shardTokens == long.MaxValue ? $"{_name}.bin" : $"{_name}_{_index:D6}.bin";

    private string AsidePath => Path.Combine(_folder, "." + FileName + Aside);

    /// <summary>Deletes what an interrupted writer left aside.</summary>
    /// <param name="folder">The folder.</param>
    public static void DeleteAside(string folder)
    {
        foreach (var path in Directory.GetFiles(folder, ".*.bin" + Aside))
        {
            File.Delete(path);
        }
    }

    /// <summary>Appends ids.</summary>
    /// <param name="ids">The ids, each within the bytes of a token.</param>
    public void Write(ReadOnlySpan<int> ids)
    {
        for (var written = 0; written < ids.Length;)
        {
            _stream ??= Begin();
            var part = ids.Slice(written, (int)Math.Min(Math.Min(ids.Length - written, _shardTokens - _count), _buffer.Length / _bytesPerToken));
            for (var i = 0; i < part.Length; i++)
            {
                if (_bytesPerToken == 2)
                {
                    BinaryPrimitives.WriteUInt16LittleEndian(_buffer.AsSpan(2 * i), checked((ushort)part[i]));
                }
                else
                {
                    BinaryPrimitives.WriteInt32LittleEndian(_buffer.AsSpan(4 * i), part[i]);
                }
            }

            _stream.Write(_buffer.AsSpan(0, part.Length * _bytesPerToken));
            written += part.Length;
            _count += part.Length;
            if (_count == _shardTokens)
            {
                Finish(written);
            }
        }
    }

    /// <summary>Finishes the last file, which may be shorter.</summary>
    public void Complete()
    {
        if (_stream is not null)
        {
            Finish(0);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_stream is not null)
        {
            _stream.Dispose();
            File.Delete(AsidePath);
        }
    }

    private FileStream Begin()
    {
        _count = 0;
        var stream = new FileStream(AsidePath, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16);
        if (_layout == TokenLayout.Llmc)
        {
            // The number of tokens is known at the end.
            stream.Position = TokenHeader.Bytes;
        }

        return stream;
    }

    private void Finish(int written)
    {
        if (_layout == TokenLayout.Llmc)
        {
            Span<byte> head = stackalloc byte[TokenHeader.Bytes];
            new TokenHeader(_bytesPerToken, checked((int)_count)).Write(head);
            _stream!.Position = 0;
            _stream.Write(head);
        }

        _stream!.Flush(flushToDisk: true);
        _stream.Dispose();
        _stream = null;
        var shard = new ManifestShard(FileName, _count, TokenFile.Checksum(AsidePath));
        File.Move(AsidePath, Path.Combine(_folder, FileName), overwrite: true);
        DirectorySync.Flush(_folder);
        _index++;
        _finished(shard, written);
    }
}
