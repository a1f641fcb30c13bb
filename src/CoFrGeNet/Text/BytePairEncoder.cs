using System.Buffers;
using System.Runtime.CompilerServices;

namespace CoFrGeNet.Text;

/// <summary>
/// Byte-pair encoding of one piece of text: the adjacent pair that was merged first in training is joined until no known pair is left.
/// Takes the time of n log n for a piece of n bytes. Immutable, so that threads may share it.
/// </summary>
internal sealed class BytePairEncoder
{
    /// <summary>Pieces up to this many bytes are merged by scanning, longer ones with a queue.</summary>
    public const int ShortPieceBytes = 128;

    private readonly byte[][] _tokens;
    private readonly int[] _byteIds = new int[256];
    private readonly PairTable _pairs;
    private readonly TokenLookup _lookup;

    /// <summary>Learns the merges from the tokens.</summary>
    /// <param name="tokens">The bytes of every token, in merge order: single bytes first, then one merge a token.</param>
    public BytePairEncoder(byte[][] tokens)
    {
        _tokens = tokens;
        _pairs = new PairTable(tokens.Length);
        Span<int> parts = stackalloc int[ShortPieceBytes];
        for (var id = 0; id < tokens.Length; id++)
        {
            var token = tokens[id];
            if (token.Length == 1)
            {
                _byteIds[token[0]] = id;
                continue;
            }

            // With the merges known so far a token falls into exactly the two parts whose merge made it.
            if (token.Length > parts.Length || MergeByScanning(token, parts) != 2)
            {
                throw new InvalidOperationException($"token {id} is not the merge of two earlier tokens");
            }

            _pairs.Add(parts[0], parts[1], id);
        }

        _lookup = new TokenLookup(tokens);
    }

    /// <summary>The bytes of a token.</summary>
    public ReadOnlySpan<byte> GetBytes(int id) => _tokens[id];

    /// <summary>Appends the ids of a piece.</summary>
    public void Encode(ReadOnlySpan<byte> piece, IBufferWriter<int> destination)
    {
        // Most words are tokens, and the encoding of a token's bytes is that token.
        var whole = _lookup.Find(piece);
        if (whole >= 0)
        {
            destination.GetSpan(1)[0] = whole;
            destination.Advance(1);
            return;
        }

        var ids = destination.GetSpan(piece.Length);
        destination.Advance(piece.Length <= ShortPieceBytes ? MergeByScanning(piece, ids) : MergeByQueue(piece, ids));
    }

    [SkipLocalsInit]
    private int MergeByScanning(ReadOnlySpan<byte> piece, Span<int> parts)
    {
        var count = piece.Length;
        Span<int> merged = stackalloc int[ShortPieceBytes];
        for (var i = 0; i < count; i++)
        {
            parts[i] = _byteIds[piece[i]];
        }

        for (var i = 0; i + 1 < count; i++)
        {
            merged[i] = _pairs.Find(parts[i], parts[i + 1]);
        }

        while (count > 1)
        {
            // Ids grow in merge order, so the smallest id is the earliest merge; ties go to the left.
            var best = 0;
            for (var i = 1; i + 1 < count; i++)
            {
                best = merged[i] < merged[best] ? i : best;
            }

            if (merged[best] == PairTable.None)
            {
                break;
            }

            parts[best] = merged[best];
            parts[(best + 2)..count].CopyTo(parts[(best + 1)..]);
            merged[(best + 1)..(count - 1)].CopyTo(merged[best..]);
            count--;
            if (best + 1 < count)
            {
                merged[best] = _pairs.Find(parts[best], parts[best + 1]);
            }

            if (best > 0)
            {
                merged[best - 1] = _pairs.Find(parts[best - 1], parts[best]);
            }
        }

        return count;
    }

    private int MergeByQueue(ReadOnlySpan<byte> piece, Span<int> ids)
    {
        var count = piece.Length;
        var parts = new int[count];
        var next = new int[count];
        var previous = new int[count];
        for (var i = 0; i < count; i++)
        {
            parts[i] = _byteIds[piece[i]];
            next[i] = i + 1;
            previous[i] = i - 1;
        }

        var queue = new PriorityQueue<int, long>(count);
        for (var i = 0; i + 1 < count; i++)
        {
            Push(queue, parts, i, i + 1);
        }

        while (queue.TryDequeue(out var left, out var priority))
        {
            // An entry is stale when one of its parts has been merged meanwhile.
            var merged = (int)(priority >> 32);
            var right = parts[left] < 0 ? count : next[left];
            if (right >= count || _pairs.Find(parts[left], parts[right]) != merged)
            {
                continue;
            }

            parts[left] = merged;
            parts[right] = -1;
            next[left] = next[right];
            if (next[right] < count)
            {
                previous[next[right]] = left;
                Push(queue, parts, left, next[right]);
            }

            if (previous[left] >= 0)
            {
                Push(queue, parts, previous[left], left);
            }
        }

        var written = 0;
        for (var i = 0; i < count; i = next[i])
        {
            ids[written++] = parts[i];
        }

        return written;
    }

    private void Push(PriorityQueue<int, long> queue, int[] parts, int left, int right)
    {
        var merged = _pairs.Find(parts[left], parts[right]);
        if (merged != PairTable.None)
        {
            queue.Enqueue(left, ((long)merged << 32) | (uint)left);
        }
    }
}
