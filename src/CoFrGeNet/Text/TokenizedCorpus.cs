using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using CoFrGeNet.Data;

namespace CoFrGeNet.Text;

/// <summary>
/// Documents as one run of token ids, each document followed by the tokenizer's end-of-text token (if it has one). Two bytes an
/// id where the vocabulary allows it, otherwise four.
/// </summary>
public sealed class TokenizedCorpus : ITokenSequence
{
    private readonly ushort[]? _narrow;
    private readonly int[]? _wide;
    private readonly Lazy<string> _fingerprint;

    private TokenizedCorpus(ushort[]? narrow, int[]? wide, int documents, long textBytes)
    {
        _narrow = narrow;
        _wide = wide;
        DocumentCount = documents;
        TextBytes = textBytes;
        _fingerprint = new Lazy<string>(Hash);
    }

    /// <summary>The number of ids, separators included.</summary>
    public int Count => _narrow?.Length ?? _wide!.Length;

    /// <summary>The number of documents.</summary>
    public int DocumentCount { get; }

    /// <summary>The bytes of the text in UTF-8; separators do not count.</summary>
    public long TextBytes { get; }

    /// <summary>SHA-256 of the ids as 32-bit integers, in hexadecimal.</summary>
    public string Fingerprint => _fingerprint.Value;

    /// <inheritdoc/>
    long ITokenSequence.Count => Count;

    /// <inheritdoc/>
    long? ITokenSequence.DocumentCount => DocumentCount;

    /// <summary>The id at a position.</summary>
    /// <param name="index">In [0, <see cref="Count"/>).</param>
    public int this[int index] => _narrow is null ? _wide![index] : _narrow[index];

    /// <summary>Encodes documents, several at once; the result does not depend on the number of threads.</summary>
    /// <param name="documents">The documents in the order in which they shall stand.</param>
    /// <param name="tokenizer">Encodes them.</param>
    /// <param name="maxThreads">How many threads may work; null for one a core.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>The ids.</returns>
    /// <exception cref="UserErrorException">There is no text, or more than 2^31 ids.</exception>
    public static TokenizedCorpus Create(
        IReadOnlyList<Document> documents,
        ITokenizer tokenizer,
        int? maxThreads = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(documents);
        ArgumentNullException.ThrowIfNull(tokenizer);
        return tokenizer.VocabularySize <= ushort.MaxValue + 1
            ? Create(documents, tokenizer, id => (ushort)id, maxThreads, cancellationToken)
            : Create(documents, tokenizer, id => id, maxThreads, cancellationToken);
    }

    /// <summary>Copies ids.</summary>
    /// <param name="start">The position of the first.</param>
    /// <param name="destination">Receives as many as it is long.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range lies not within the corpus.</exception>
    public void CopyTo(int start, Span<int> destination)
    {
        if (_wide is not null)
        {
            _wide.AsSpan(start, destination.Length).CopyTo(destination);
            return;
        }

        var source = _narrow.AsSpan(start, destination.Length);
        for (var i = 0; i < source.Length; i++)
        {
            destination[i] = source[i];
        }
    }

    /// <summary>Copies ids as 64-bit integers, the index type of tensor libraries.</summary>
    /// <param name="start">The position of the first.</param>
    /// <param name="destination">Receives as many as it is long.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range lies not within the corpus.</exception>
    public void CopyTo(int start, Span<long> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, Count - destination.Length);
        for (var i = 0; i < destination.Length; i++)
        {
            destination[i] = this[start + i];
        }
    }

    /// <inheritdoc/>
    void ITokenSequence.CopyTo(long start, Span<long> destination) => CopyTo(checked((int)start), destination);

    /// <summary>Turns a mean loss over this corpus into bits per byte of its text.</summary>
    /// <param name="lossPerToken">The mean loss in nats per token.</param>
    /// <returns>Bits per byte.</returns>
    public double BitsPerByte(double lossPerToken) => TextMetrics.BitsPerByte(lossPerToken, Count, TextBytes);

    private string Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new int[1 << 16];
        for (var start = 0; start < Count; start += buffer.Length)
        {
            var part = buffer.AsSpan(0, Math.Min(buffer.Length, Count - start));
            CopyTo(start, part);
            hash.AppendData(MemoryMarshal.AsBytes(part));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static TokenizedCorpus Create<T>(
        IReadOnlyList<Document> documents,
        ITokenizer tokenizer,
        Func<int, T> narrow,
        int? maxThreads,
        CancellationToken cancellationToken)
    {
        var parts = new T[documents.Count][];
        var options = new ParallelOptions { MaxDegreeOfParallelism = maxThreads ?? -1, CancellationToken = cancellationToken };
        Parallel.For(0, documents.Count, options, i =>
        {
            var ids = tokenizer.Encode(documents[i].Text);
            var part = new T[ids.Length + (tokenizer.EndOfTextId is null ? 0 : 1)];
            for (var j = 0; j < part.Length; j++)
            {
                part[j] = narrow(j < ids.Length ? ids[j] : tokenizer.EndOfTextId!.Value);
            }

            parts[i] = part;
        });
        var total = parts.Sum(part => (long)part.Length);
        var bytes = documents.Sum(document => (long)Encoding.UTF8.GetByteCount(document.Text));
        if (bytes == 0 || total > Array.MaxLength)
        {
            throw new UserErrorException(
                bytes == 0 ? "there is no text to train or evaluate on" : $"{total} tokens are too many to hold at once; give less text");
        }

        var all = new T[total];
        var position = 0;
        foreach (var part in parts)
        {
            part.CopyTo(all, position);
            position += part.Length;
        }

        return new TokenizedCorpus(all as ushort[], all as int[], documents.Count, bytes);
    }
}
