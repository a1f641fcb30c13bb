using System.Buffers;
using System.Runtime.CompilerServices;

namespace CoFrGeNet.Text;

/// <summary>Collects ids in a span of a writer, since asking the writer for every id would cost more than finding the id. Call <see cref="Flush"/> at the end.</summary>
internal ref struct TokenBuffer
{
    private const int BlockIds = 1024;

    private readonly IBufferWriter<int> _writer;
    private Span<int> _free;
    private int _used;

    /// <summary>Begins to write.</summary>
    public TokenBuffer(IBufferWriter<int> writer) => _writer = writer;

    /// <summary>Writes one id.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Add(int id)
    {
        if (_used == _free.Length)
        {
            Refill(BlockIds);
        }

        _free[_used++] = id;
    }

    /// <summary>Gives room for ids; <see cref="Advance"/> says how many were written.</summary>
    public Span<int> Reserve(int count)
    {
        if (_free.Length - _used < count)
        {
            Refill(Math.Max(count, BlockIds));
        }

        return _free.Slice(_used, count);
    }

    /// <summary>Counts ids written into reserved room.</summary>
    public void Advance(int count) => _used += count;

    /// <summary>Hands everything to the writer.</summary>
    public void Flush()
    {
        _writer.Advance(_used);
        _free = default;
        _used = 0;
    }

    private void Refill(int count)
    {
        Flush();
        _free = _writer.GetSpan(count);
    }
}
