using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace CoFrGeNet.Text;

/// <summary>Byte-level byte-pair encoding of whole texts: cuts them into pieces and merges the bytes of each. Immutable, so that threads may share it.</summary>
internal sealed class BytePairEncoder
{
    private readonly PieceSplitter[] _splitters;
    private readonly BytePairMerger _merger;
    private readonly TokenLookup _lookup;

    /// <summary>Prepares tokens and merges.</summary>
    /// <param name="tokens">The bytes of every token by id; null for ids that no text encodes to.</param>
    /// <param name="merges">The merges, in any order.</param>
    /// <param name="splitters">What cuts the text, each within the pieces of the one before.</param>
    /// <param name="ignoreMerges">Whether a piece that is a token stands for itself, because merging would lead to it or even where it would not.</param>
    /// <param name="unknownId">The token of bytes that have none; null: such bytes are an error.</param>
    public BytePairEncoder(byte[]?[] tokens, IReadOnlyCollection<BytePairMerge> merges, PieceSplitter[] splitters, bool ignoreMerges, int? unknownId = null)
    {
        _splitters = splitters;
        _merger = new BytePairMerger(tokens, unknownId, merges.Count, merges.Count == 0 ? 0 : merges.Max(merge => merge.Rank) + 1);
        foreach (var merge in merges)
        {
            _merger.Add(merge);
        }

        // Most words are tokens: found as a whole they need no merging. That must not change the result.
        _lookup = new TokenLookup(ignoreMerges ? tokens : [.. tokens.Select((token, id) => token is not null && MergesInto(token, id) ? token : null)]);
    }

    /// <summary>Appends the ids of a text.</summary>
    /// <exception cref="UserErrorException">A byte has no token.</exception>
    public void Encode(ReadOnlySpan<char> text, ref TokenBuffer destination)
    {
        Span<byte> shortPiece = stackalloc byte[BytePairMerger.ShortPieceBytes];
        Encode(text, _splitters, shortPiece, ref destination);
    }

    private void Encode(ReadOnlySpan<char> text, scoped ReadOnlySpan<PieceSplitter> splitters, scoped Span<byte> shortPiece, ref TokenBuffer destination)
    {
        if (splitters.IsEmpty)
        {
            EncodePiece(text, shortPiece, ref destination);
            return;
        }

        var splitter = splitters[0];
        for (int start = 0, end; start < text.Length; start = end)
        {
            end = splitter.EndOfPiece(text, start);
            if (splitters.Length == 1)
            {
                EncodePiece(text[start..end], shortPiece, ref destination);
            }
            else
            {
                Encode(text[start..end], splitters[1..], shortPiece, ref destination);
            }
        }
    }

    private void EncodePiece(ReadOnlySpan<char> piece, scoped Span<byte> shortPiece, ref TokenBuffer destination)
    {
        if (piece.Length <= shortPiece.Length)
        {
            // Written out, because calling a converter costs more than a word is long.
            var ascii = 0;
            while (ascii < piece.Length && piece[ascii] < 128)
            {
                shortPiece[ascii] = (byte)piece[ascii];
                ascii++;
            }

            if (ascii == piece.Length)
            {
                EncodeBytes(shortPiece[..ascii], ref destination);
                return;
            }

            if (Utf8.FromUtf16(piece, shortPiece, out _, out var written) == OperationStatus.Done)
            {
                EncodeBytes(shortPiece[..written], ref destination);
                return;
            }
        }

        var rented = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetByteCount(piece));
        try
        {
            EncodeBytes(rented.AsSpan(0, Encoding.UTF8.GetBytes(piece, rented)), ref destination);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private void EncodeBytes(scoped ReadOnlySpan<byte> piece, ref TokenBuffer destination)
    {
        var whole = _lookup.Find(piece);
        if (whole >= 0)
        {
            destination.Add(whole);
        }
        else if (!piece.IsEmpty)
        {
            destination.Advance(_merger.Merge(piece, destination.Reserve(piece.Length)));
        }
    }

    private bool MergesInto(byte[] token, int id)
    {
        var ids = new int[token.Length];
        return token.Length > 0 && _merger.Merge(token, ids) == 1 && ids[0] == id;
    }
}
