namespace CoFrGeNet.Data;

/// <summary>A run of token ids that can be read at any position. Several threads may read at once.</summary>
public interface ITokenSequence
{
    /// <summary>The number of ids, marks between documents included.</summary>
    public long Count { get; }

    /// <summary>The number of documents, or null where nobody counted them.</summary>
    public long? DocumentCount { get; }

    /// <summary>The bytes of the text in UTF-8, marks left out; more than 0.</summary>
    public long TextBytes { get; }

    /// <summary>Names the content: equal for equal ids, in hexadecimal.</summary>
    public string Fingerprint { get; }

    /// <summary>Copies ids as 64-bit integers, the index type of tensor libraries.</summary>
    /// <param name="start">The position of the first.</param>
    /// <param name="destination">Receives as many as it is long.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range lies not within the sequence.</exception>
    /// <exception cref="UserErrorException">A stored id is not in the vocabulary.</exception>
    public void CopyTo(long start, Span<long> destination);
}
