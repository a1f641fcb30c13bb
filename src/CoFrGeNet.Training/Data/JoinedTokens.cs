using System.Security.Cryptography;
using System.Text;
using CoFrGeNet.Data;

namespace CoFrGeNet.Training;

/// <summary>
/// Several sequences as one, in pieces that take turns: however much of it is read from its start, each sequence is there in proportion to its length.
/// </summary>
public sealed class JoinedTokens : ITokenSequence
{
    private const int PieceTokens = 1 << 14;

    private readonly IReadOnlyList<ITokenSequence> _parts;
    private readonly (int Part, long Start, int Length)[] _pieces;
    private readonly SegmentTable _segments;

    /// <summary>Joins sequences.</summary>
    /// <param name="parts">The sequences.</param>
    public JoinedTokens(IReadOnlyList<ITokenSequence> parts)
    {
        ArgumentNullException.ThrowIfNull(parts);
        _parts = parts;
        _pieces =
        [
            .. parts.SelectMany((part, index) =>
            {
                var count = (part.Count + PieceTokens - 1) / PieceTokens;
                return Enumerable.Range(0, checked((int)count)).Select(i => (
                    At: (i + 0.5) / count, Index: index, Start: (long)i * PieceTokens, Length: (int)Math.Min(PieceTokens, part.Count - ((long)i * PieceTokens))));
            }).OrderBy(piece => piece.At).ThenBy(piece => piece.Index).Select(piece => (piece.Index, piece.Start, piece.Length)),
        ];
        _segments = new SegmentTable(_pieces.Select(piece => (long)piece.Length));
    }

    /// <inheritdoc/>
    public long Count => _segments.Count;

    /// <inheritdoc/>
    public long? DocumentCount => _parts.Any(part => part.DocumentCount is null) ? null : _parts.Sum(part => part.DocumentCount);

    /// <inheritdoc/>
    public long TextBytes => _parts.Sum(part => part.TextBytes);

    /// <inheritdoc/>
    public string Fingerprint => Join(_parts.Select(part => part.Fingerprint));

    /// <inheritdoc/>
    public void CopyTo(long start, Span<long> destination) =>
        _segments.CopyTo(start, destination, (piece, offset, part) => _parts[_pieces[piece].Part].CopyTo(_pieces[piece].Start + offset, part));

    internal static string Join(IEnumerable<string> names) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', names))));
}
