using System.Buffers;

namespace CoFrGeNet.Text;

/// <summary>Counts what is written and forgets it.</summary>
internal sealed class CountingWriter : IBufferWriter<int>
{
    private int[] _scratch = new int[64];

    /// <summary>How many ids were written.</summary>
    public int Count { get; private set; }

    public void Advance(int count) => Count += count;

    public Memory<int> GetMemory(int sizeHint = 0)
    {
        if (sizeHint > _scratch.Length)
        {
            _scratch = new int[sizeHint];
        }

        return _scratch;
    }

    public Span<int> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;
}
