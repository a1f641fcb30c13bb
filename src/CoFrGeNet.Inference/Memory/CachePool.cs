using System.Runtime.InteropServices;

namespace CoFrGeNet.Inference;

/// <summary>
/// The memory of all caches of a model, in pages of <see cref="PageTokens"/> tokens for all layers. Sequences take pages as they grow, so that nothing is ever
/// copied, and give them back to be used again.
/// </summary>
internal sealed unsafe class CachePool : IDisposable
{
    /// <summary>Tokens of a page.</summary>
    public const int PageTokens = 64;

    private readonly Stack<nint> _free = new();
    private readonly Lock _gate = new();
    private readonly long _pageBytes;
    private readonly long _mostPages;
    private long _taken;
    private bool _isDisposed;

    /// <summary>Creates a pool without pages.</summary>
    /// <param name="pageFloats">float32 values of a page.</param>
    /// <param name="options">The budget.</param>
    /// <exception cref="UserErrorException">Not one page fits.</exception>
    public CachePool(long pageFloats, InferenceOptions options)
    {
        // A layer that keeps nothing still counts its tokens.
        _pageBytes = Math.Max(64, checked(pageFloats * sizeof(float)));
        _mostPages = Math.Min(
            options.CacheBytes is { } bytes ? bytes / _pageBytes : long.MaxValue / PageTokens,
            options.CacheTokens is { } tokens ? tokens / PageTokens : long.MaxValue / PageTokens);
        if (_mostPages == 0)
        {
            throw new UserErrorException(
                $"The budget of the caches holds not one page of {PageTokens} tokens, which takes {_pageBytes} bytes of this model; give cacheBytes or cacheTokens more.");
        }
    }

    /// <summary>Frees the pages of a pool that nobody disposed of.</summary>
    ~CachePool() => Free();

    /// <summary>Bytes of a page.</summary>
    public long PageBytes => _pageBytes;

    /// <summary>Tokens that fit into the budget.</summary>
    public long CapacityTokens => _mostPages * PageTokens;

    /// <summary>Tokens that can still be taken.</summary>
    public long FreeTokens
    {
        get
        {
            lock (_gate)
            {
                return (_mostPages - _taken) * PageTokens;
            }
        }
    }

    /// <summary>Takes a page; its content is undefined.</summary>
    /// <exception cref="UserErrorException">The budget is used up.</exception>
    public nint Take()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, typeof(InferenceModel));
            if (_taken == _mostPages)
            {
                throw new UserErrorException(
                    $"The caches of all sequences hold {_mostPages * PageTokens} tokens and are full; end or shorten another sequence, or load the model with larger cacheBytes or cacheTokens.");
            }

            _taken++;
            return _free.Count > 0 ? _free.Pop() : (nint)NativeMemory.AlignedAlloc((nuint)_pageBytes, 64);
        }
    }

    /// <summary>Gives a page back.</summary>
    /// <param name="page">A page of this pool.</param>
    public void Return(nint page)
    {
        lock (_gate)
        {
            _taken--;
            if (_isDisposed)
            {
                NativeMemory.AlignedFree((void*)page);
                return;
            }

            _free.Push(page);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            _isDisposed = true;
            Free();
        }

        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        while (_free.TryPop(out var page))
        {
            NativeMemory.AlignedFree((void*)page);
        }
    }
}
