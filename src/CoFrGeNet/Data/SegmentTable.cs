namespace CoFrGeNet.Data;

/// <summary>Reads tokens of one segment.</summary>
/// <param name="segment">Number of the segment, from 0.</param>
/// <param name="offset">First token within it.</param>
/// <param name="destination">Receives the ids; does not reach beyond the segment.</param>
public delegate void SegmentReader(int segment, long offset, Span<long> destination);

/// <summary>Where segments that follow one another begin and end, for sequences that are made of them.</summary>
public sealed class SegmentTable
{
    private readonly long[] _ends;

    /// <summary>Lays segments one behind the other.</summary>
    /// <param name="lengths">Their lengths, in their order.</param>
    public SegmentTable(IEnumerable<long> lengths)
    {
        _ends = [.. lengths];
        for (var i = 0; i < _ends.Length; i++)
        {
            Count += _ends[i];
            _ends[i] = Count;
        }
    }

    /// <summary>Tokens of all segments.</summary>
    public long Count { get; }

    /// <summary>Fills a span that may reach over several segments.</summary>
    /// <param name="start">First token.</param>
    /// <param name="destination">Receives the ids.</param>
    /// <param name="read">Called once for each segment that the span touches.</param>
    /// <exception cref="ArgumentOutOfRangeException">The span reaches beyond the last segment.</exception>
    public void CopyTo(long start, Span<long> destination, SegmentReader read)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, Count - destination.Length);
        ArgumentNullException.ThrowIfNull(read);
        while (!destination.IsEmpty)
        {
            var index = Array.BinarySearch(_ends, start + 1);
            index = index < 0 ? ~index : index;
            var first = index == 0 ? 0 : _ends[index - 1];
            var part = destination[..(int)Math.Min(destination.Length, _ends[index] - start)];
            read(index, start - first, part);
            start += part.Length;
            destination = destination[part.Length..];
        }
    }
}
