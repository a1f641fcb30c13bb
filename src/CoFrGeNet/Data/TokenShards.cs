using System.IO.Hashing;
using System.Text;
using CoFrGeNet.Text;

namespace CoFrGeNet.Data;

/// <summary>Token files one after the other as one sequence.</summary>
public sealed class TokenShards : ITokenSequence, IDisposable
{
    private readonly TokenFile[] _files;
    private readonly SegmentTable _segments;
    private readonly ITokenizer _tokenizer;
    private readonly Lazy<long> _textBytes;

    /// <summary>Joins open files, which then belong to the sequence.</summary>
    /// <param name="files">The files, in their order.</param>
    /// <param name="tokenizer">What made the ids.</param>
    /// <param name="fingerprint">Names the content.</param>
    /// <param name="documentCount">The number of documents, or null.</param>
    /// <param name="textBytes">The bytes of the text; null: they are counted from the ids when asked for.</param>
    public TokenShards(IEnumerable<TokenFile> files, ITokenizer tokenizer, string fingerprint, long? documentCount = null, long? textBytes = null)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        _files = [.. files];
        _segments = new SegmentTable(_files.Select(file => file.Count));
        _tokenizer = tokenizer;
        Fingerprint = fingerprint;
        DocumentCount = documentCount;
        _textBytes = textBytes is { } known ? new Lazy<long>(known) : new Lazy<long>(CountBytes);
    }

    /// <inheritdoc/>
    public long Count => _segments.Count;

    /// <inheritdoc/>
    public long? DocumentCount { get; }

    /// <inheritdoc/>
    public long TextBytes => Math.Max(1, _textBytes.Value);

    /// <inheritdoc/>
    public string Fingerprint { get; }

    /// <summary>Opens files that no manifest describes.</summary>
    /// <param name="paths">The files, in their order.</param>
    /// <param name="tokenizer">What made the ids.</param>
    /// <param name="verify">Whether every id is read now and checked; otherwise when it is read.</param>
    /// <exception cref="UserErrorException">A file is missing, damaged, or holds ids that the tokenizer does not have.</exception>
    public static TokenShards OpenBare(IReadOnlyList<string> paths, ITokenizer tokenizer, bool verify)
    {
        ArgumentNullException.ThrowIfNull(paths);
        ArgumentNullException.ThrowIfNull(tokenizer);
        var files = new List<TokenFile>();
        try
        {
            files.AddRange(paths.Select(path => TokenFile.Open(path, tokenizer.VocabularySize)));
            // Without checking, length and name stand for the content.
            var names = verify ? TokenFile.VerifyAll(files) : files.Select(file => $"{Path.GetFileName(file.FilePath)} {file.Count}");
            return new TokenShards(files, tokenizer, Hash(names));
        }
        catch
        {
            files.ForEach(file => file.Dispose());
            throw;
        }
    }

    /// <inheritdoc/>
    public void CopyTo(long start, Span<long> destination) =>
        _segments.CopyTo(start, destination, (file, offset, part) => _files[file].CopyTo(offset, part));

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var file in _files)
        {
            file.Dispose();
        }
    }

    /// <summary>Joins names of contents into one.</summary>
    public static string Hash(IEnumerable<string> names) => Convert.ToHexStringLower(XxHash128.Hash(Encoding.UTF8.GetBytes(string.Join('\n', names))));

    private long CountBytes()
    {
        var buffer = new long[1 << 14];
        var lengths = Enumerable.Range(0, _tokenizer.VocabularySize)
            .Select(id => id == _tokenizer.EndOfTextId || id == _tokenizer.BeginOfTextId ? 0 : _tokenizer.GetBytes(id).Length).ToArray();
        var bytes = 0L;
        for (long start = 0; start < Count; start += buffer.Length)
        {
            var part = buffer.AsSpan(0, (int)Math.Min(buffer.Length, Count - start));
            CopyTo(start, part);
            foreach (var id in part)
            {
                bytes += lengths[id];
            }
        }

        return bytes;
    }
}
