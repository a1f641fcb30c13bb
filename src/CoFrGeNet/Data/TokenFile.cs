using System.IO.Hashing;
using System.IO.MemoryMappedFiles;
using System.Runtime.ExceptionServices;

namespace CoFrGeNet.Data;

/// <summary>
/// One file of token ids, mapped into memory: nothing is loaded before it is read. Files of llm.c are told by their magic number, others are taken as nanoGPT's.
/// Several threads may read at once.
/// </summary>
public sealed unsafe class TokenFile : IDisposable
{
    private readonly MemoryMappedFile? _file;
    private readonly MemoryMappedViewAccessor? _view;
    private readonly byte* _ids;
    private readonly int _vocabularySize;

    private TokenFile(string path, TokenLayout layout, int bytesPerToken, long count, int vocabularySize)
    {
        FilePath = path;
        Layout = layout;
        BytesPerToken = bytesPerToken;
        Count = count;
        _vocabularySize = vocabularySize;
        if (count == 0)
        {
            return;
        }

        _file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, mapName: null, capacity: 0, MemoryMappedFileAccess.Read);
        _view = _file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        byte* start = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        _ids = start + _view.PointerOffset + (layout == TokenLayout.Llmc ? TokenHeader.Bytes : 0);
    }

    /// <summary>The file.</summary>
    public string FilePath { get; }

    /// <summary>How it is laid out.</summary>
    public TokenLayout Layout { get; }

    /// <summary>2 or 4.</summary>
    public int BytesPerToken { get; }

    /// <summary>The number of ids.</summary>
    public long Count { get; }

    /// <summary>Opens a file and checks its header against its length.</summary>
    /// <param name="path">The file.</param>
    /// <param name="vocabularySize">Every id must be below this.</param>
    /// <param name="bareBytesPerToken">Bytes of an id in a file without a header: 2 or 4; null: a header is required.</param>
    /// <returns>The open file; dispose it.</returns>
    /// <exception cref="UserErrorException">The file is missing, cut short or no token file; the message names it.</exception>
    public static TokenFile Open(string path, int vocabularySize, int? bareBytesPerToken = 2)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabularySize, 1);
        try
        {
            var length = new FileInfo(path).Length;
            Span<byte> head = stackalloc byte[TokenHeader.Bytes];
            using (var stream = File.OpenRead(path))
            {
                head = head[..stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)];
            }

            return bareBytesPerToken is { } bytes && !TokenHeader.HasMagic(head)
                ? OpenBare(path, length, bytes, vocabularySize)
                : OpenLlmc(path, length, head, vocabularySize);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"cannot read the token file {path}: {e.Message}", e);
        }
    }

    /// <summary>Copies ids.</summary>
    /// <param name="start">The position of the first.</param>
    /// <param name="destination">Receives as many as it is long.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range lies not within the file.</exception>
    /// <exception cref="UserErrorException">An id is not in the vocabulary.</exception>
    public void CopyTo(long start, Span<long> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, Count - destination.Length);
        if (BytesPerToken == 2)
        {
            var ids = new ReadOnlySpan<ushort>(_ids + (start * 2), destination.Length);
            for (var i = 0; i < ids.Length; i++)
            {
                destination[i] = ids[i];
            }
        }
        else
        {
            var ids = new ReadOnlySpan<uint>(_ids + (start * 4), destination.Length);
            for (var i = 0; i < ids.Length; i++)
            {
                destination[i] = ids[i];
            }
        }

        Check(start, destination);
    }

    /// <summary>Reads the whole file once: its checksum, and whether every id is in the vocabulary.</summary>
    /// <returns>XXH128 of the file in hexadecimal, as the tool xxh128sum prints it.</returns>
    /// <exception cref="UserErrorException">An id is not in the vocabulary.</exception>
    public string Verify()
    {
        var buffer = new long[1 << 16];
        for (long start = 0; start < Count; start += buffer.Length)
        {
            CopyTo(start, buffer.AsSpan(0, (int)Math.Min(buffer.Length, Count - start)));
        }

        return Checksum(FilePath);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_view is not null)
        {
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _file!.Dispose();
        }
    }

    /// <summary>Verifies several files at once.</summary>
    /// <returns>Their checksums.</returns>
    internal static string[] VerifyAll(IReadOnlyList<TokenFile> files)
    {
        try
        {
            return [.. files.AsParallel().AsOrdered().Select(file => file.Verify())];
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
            throw;
        }
    }

    /// <summary>XXH128 of a file in hexadecimal.</summary>
    internal static string Checksum(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 20, FileOptions.SequentialScan);
        var hash = new XxHash128();
        hash.Append(stream);
        return Convert.ToHexStringLower(hash.GetCurrentHash());
    }

    private static TokenFile OpenLlmc(string path, long length, ReadOnlySpan<byte> head, int vocabularySize)
    {
        var header = TokenHeader.Read(head, path);
        var expected = TokenHeader.Bytes + ((long)header.Tokens * header.BytesPerToken);
        return length == expected
            ? new TokenFile(path, TokenLayout.Llmc, header.BytesPerToken, header.Tokens, vocabularySize)
            : throw new UserErrorException(
                $"{path} has {length} bytes, and its header counts {header.Tokens} tokens of {header.BytesPerToken} bytes, which makes {expected}; it is damaged, take another copy or prepare the text again");
    }

    private static TokenFile OpenBare(string path, long length, int bytesPerToken, int vocabularySize) => length % bytesPerToken == 0
        ? new TokenFile(path, TokenLayout.NanoGpt, bytesPerToken, length / bytesPerToken, vocabularySize)
        : throw new UserErrorException($"{path} has {length} bytes, which is no whole number of tokens of {bytesPerToken} bytes; it is damaged or no token file");

    private void Check(long start, ReadOnlySpan<long> ids)
    {
        var most = 0L;
        foreach (var id in ids)
        {
            most = Math.Max(most, id);
        }

        if (most >= _vocabularySize)
        {
            throw new UserErrorException(
                $"{FilePath} has the id {most} at position {start + ids.IndexOf(most)}, and the tokenizer {_vocabularySize} ids; it was made with another tokenizer, has another layout, or is damaged");
        }
    }
}
