using System.Runtime.CompilerServices;

namespace CoFrGeNet.Text;

/// <summary>
/// The merging of byte-pair encoding: the adjacent pair of the lowest rank is joined, the leftmost of equals, until no known pair is left. Takes the time of
/// n log n for n bytes.
/// </summary>
internal sealed class BytePairMerger
{
    /// <summary>Pieces up to this many bytes are merged by scanning, longer ones with a queue.</summary>
    public const int ShortPieceBytes = 128;

    private const int NoToken = -1;

    private readonly int[] _byteIds = new int[256];
    private readonly PairTable _ranks;
    private readonly int[] _merged;

    /// <summary>Starts without merges.</summary>
    /// <param name="tokens">The bytes of every token by id; null for ids that no text encodes to.</param>
    /// <param name="unknownId">The token of bytes that have none; null: such bytes are an error.</param>
    /// <param name="merges">How many merges will be added at most.</param>
    /// <param name="ranks">All ranks are below this.</param>
    public BytePairMerger(byte[]?[] tokens, int? unknownId, int merges, int ranks)
    {
        Array.Fill(_byteIds, unknownId ?? NoToken);
        for (var id = tokens.Length - 1; id >= 0; id--)
        {
            if (tokens[id] is { Length: 1 } single)
            {
                _byteIds[single[0]] = id;
            }
        }

        _ranks = new PairTable(Math.Max(1, merges));
        _merged = new int[ranks];
    }

    /// <summary>Adds a merge; of two with the same pair the first counts.</summary>
    public void Add(BytePairMerge merge)
    {
        if (_ranks.Find(merge.Left, merge.Right) == PairTable.None)
        {
            _ranks.Add(merge.Left, merge.Right, merge.Rank);
            _merged[merge.Rank] = merge.Merged;
        }
    }

    /// <summary>Merges the bytes of a piece.</summary>
    /// <param name="piece">The bytes.</param>
    /// <param name="ids">Receives the ids; as long as the piece.</param>
    /// <returns>How many ids there are.</returns>
    /// <exception cref="UserErrorException">A byte has no token.</exception>
    public int Merge(ReadOnlySpan<byte> piece, Span<int> ids)
    {
        for (var i = 0; i < piece.Length; i++)
        {
            ids[i] = _byteIds[piece[i]];
            if (ids[i] == NoToken)
            {
                throw new UserErrorException($"the tokenizer has no token for the byte 0x{piece[i]:x2}, and none for unknown text; use another tokenizer");
            }
        }

        return Merge(ids[..piece.Length]);
    }

    /// <summary>Merges parts that are tokens already.</summary>
    /// <param name="parts">The ids; overwritten with the result.</param>
    /// <returns>How many ids there are.</returns>
    public int Merge(Span<int> parts) => parts.Length <= ShortPieceBytes ? ByScanning(parts) : ByQueue(parts);

    [SkipLocalsInit]
    private int ByScanning(Span<int> parts)
    {
        var count = parts.Length;
        Span<int> ranks = stackalloc int[ShortPieceBytes];
        for (var i = 0; i + 1 < count; i++)
        {
            ranks[i] = _ranks.Find(parts[i], parts[i + 1]);
        }

        while (count > 1)
        {
            var best = 0;
            for (var i = 1; i + 1 < count; i++)
            {
                best = ranks[i] < ranks[best] ? i : best;
            }

            if (ranks[best] == PairTable.None)
            {
                break;
            }

            parts[best] = _merged[ranks[best]];
            parts[(best + 2)..count].CopyTo(parts[(best + 1)..]);
            ranks[(best + 1)..(count - 1)].CopyTo(ranks[best..]);
            count--;
            if (best + 1 < count)
            {
                ranks[best] = _ranks.Find(parts[best], parts[best + 1]);
            }

            if (best > 0)
            {
                ranks[best - 1] = _ranks.Find(parts[best - 1], parts[best]);
            }
        }

        return count;
    }

    private int ByQueue(Span<int> ids)
    {
        var count = ids.Length;
        var parts = ids.ToArray();
        var next = new int[count];
        var previous = new int[count];
        for (var i = 0; i < count; i++)
        {
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
            var rank = (int)(priority >> 32);
            var right = parts[left] < 0 ? count : next[left];
            if (right >= count || _ranks.Find(parts[left], parts[right]) != rank)
            {
                continue;
            }

            parts[left] = _merged[rank];
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
        var rank = _ranks.Find(parts[left], parts[right]);
        if (rank != PairTable.None)
        {
            queue.Enqueue(left, ((long)rank << 32) | (uint)left);
        }
    }
}
