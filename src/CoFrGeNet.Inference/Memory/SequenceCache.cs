using System.Runtime.InteropServices;

namespace CoFrGeNet.Inference;

/// <summary>What all layers keep of the tokens of one sequence: a table of pages.</summary>
internal sealed unsafe class SequenceCache : IDisposable
{
    private const int FirstCapacity = 8;

    private readonly CachePool _pool;
    private nint* _pages;
    private int _capacity;
    private int _count;

    /// <summary>Starts empty.</summary>
    /// <param name="pool">Where pages come from.</param>
    public SequenceCache(CachePool pool) => _pool = pool;

    /// <summary>Gives back what nobody disposed of.</summary>
    ~SequenceCache() => Free();

    /// <summary>Number of tokens.</summary>
    public int Length { get; private set; }

    /// <summary>The pages in the order of their tokens.</summary>
    public nint* Pages => _pages;

    /// <summary>Takes the pages for more tokens; nothing has changed where that fails.</summary>
    /// <param name="more">Number of tokens to come.</param>
    /// <exception cref="UserErrorException">The budget of the caches is used up.</exception>
    public void Reserve(int more)
    {
        var needed = (Length + more + CachePool.PageTokens - 1) / CachePool.PageTokens;
        if (needed > _capacity)
        {
            _capacity = Math.Max(needed, Math.Max(FirstCapacity, 2 * _capacity));
            _pages = (nint*)NativeMemory.Realloc(_pages, (nuint)(_capacity * sizeof(nint)));
        }

        try
        {
            while (_count < needed)
            {
                _pages[_count] = _pool.Take();
                _count++;
            }
        }
        catch
        {
            Truncate(Length);
            throw;
        }
    }

    /// <summary>Counts tokens that all layers have received.</summary>
    /// <param name="count">Number of tokens.</param>
    public void Advance(int count) => Length += count;

    /// <summary>Forgets the tokens after a position and gives back pages without tokens.</summary>
    /// <param name="length">How many tokens stay.</param>
    public void Truncate(int length)
    {
        Length = length;
        var needed = (length + CachePool.PageTokens - 1) / CachePool.PageTokens;
        while (_count > needed)
        {
            _pool.Return(_pages[--_count]);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        Truncate(0);
        NativeMemory.Free(_pages);
        _pages = null;
        _capacity = 0;
    }
}
