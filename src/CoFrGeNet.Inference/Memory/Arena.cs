using System.Runtime.InteropServices;

namespace CoFrGeNet.Inference;

/// <summary>
/// Working memory of passes: taken from front to back, given back all at once or down to a mark. What did not fit makes it larger for the next pass, so that
/// passes of a size that was seen before allocate nothing.
/// </summary>
internal sealed unsafe class Arena : IDisposable
{
    private const nuint Alignment = 64;

    private readonly List<nint> _overflow = [];
    private byte* _memory;
    private long _size;
    private long _used;
    private long _wanted;

    /// <summary>Frees the memory of an arena that nobody disposed of.</summary>
    ~Arena() => Free();

    /// <summary>How much is taken, to go back to.</summary>
    public long Mark => _used;

    /// <summary>Takes memory, aligned to cache lines; its content is undefined.</summary>
    /// <param name="count">Number of float32 values.</param>
    public float* Take(long count)
    {
        var bytes = (checked(count * sizeof(float)) + (long)Alignment - 1) & ~((long)Alignment - 1);
        var first = _used;
        _used += bytes;
        _wanted = Math.Max(_wanted, _used);
        if (_used <= _size)
        {
            return (float*)(_memory + first);
        }

        var extra = (nint)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, (long)Alignment), Alignment);
        _overflow.Add(extra);
        return (float*)extra;
    }

    /// <summary>Gives back what was taken since a mark.</summary>
    /// <param name="mark">An earlier <see cref="Mark"/>.</param>
    public void Release(long mark) => _used = mark;

    /// <summary>Gives back everything, and grows to what was wanted.</summary>
    public void Reset()
    {
        _used = 0;
        if (_overflow.Count == 0)
        {
            return;
        }

        Free();
        _memory = (byte*)NativeMemory.AlignedAlloc((nuint)_wanted, Alignment);
        _size = _wanted;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        foreach (var extra in _overflow)
        {
            NativeMemory.AlignedFree((void*)extra);
        }

        _overflow.Clear();
        NativeMemory.AlignedFree(_memory);
        _memory = null;
        _size = 0;
    }
}
