using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>
/// What a mixer keeps of earlier tokens while decoding: keys and values of attention, values alone of CAttnM, the two mixed inputs of
/// CAttnU and what its forget gates leave. Belongs to one sequence batch and one layer; not thread-safe.
/// </summary>
public sealed class MixerCache : IDisposable
{
    // A context of 131,072 tokens takes gigabytes, of which a short text needs little: the memory doubles as it fills.
    private const long FirstCapacity = 256;

    private readonly long _capacity;
    private readonly Tensor?[] _slots = new Tensor?[3];

    /// <summary>Creates an empty cache.</summary>
    /// <param name="capacity">Most tokens that it can hold.</param>
    public MixerCache(long capacity) => _capacity = capacity;

    /// <summary>Number of tokens that it holds.</summary>
    public long Length { get; private set; }

    /// <summary>Appends to one slot and returns everything in it. The length grows only with <see cref="Advance"/>.</summary>
    /// <param name="slot">0 to 2.</param>
    /// <param name="value">New tokens on axis <paramref name="axis"/>.</param>
    /// <param name="axis">The time axis.</param>
    /// <returns>A view of all tokens so far, valid until the next append.</returns>
    /// <exception cref="InvalidOperationException">The capacity is exceeded.</exception>
    public Tensor Append(int slot, Tensor value, int axis)
    {
        var count = value.shape[axis];
        if (Length + count > _capacity)
        {
            throw new InvalidOperationException($"The cache holds {_capacity} tokens; {Length} are in it and {count} more were given.");
        }

        var buffer = Reserve(slot, value, axis, Length + count);
        using (var target = buffer.narrow(axis, Length, count))
        {
            target.copy_(value);
        }

        return buffer.narrow(axis, 0, Length + count);
    }

    private Tensor Reserve(int slot, Tensor value, int axis, long length)
    {
        var old = _slots[slot];
        if (old is not null && old.shape[axis] >= length)
        {
            return old;
        }

        var shape = value.shape;
        shape[axis] = Math.Min(_capacity, Math.Max(length, old is null ? FirstCapacity : 2 * old.shape[axis]));
        var buffer = zeros(shape, value.dtype, value.device).DetachFromDisposeScope();
        if (old is not null)
        {
            using Tensor kept = old.narrow(axis, 0, Length), target = buffer.narrow(axis, 0, Length);
            target.copy_(kept);
            old.Dispose();
        }

        _slots[slot] = buffer;
        return buffer;
    }

    /// <summary>Counts tokens that every slot has received.</summary>
    /// <param name="count">Number of tokens.</param>
    public void Advance(long count) => Length += count;

    /// <summary>Forgets all tokens after a position, keeping the memory.</summary>
    /// <param name="length">How many tokens to keep; 0 to <see cref="Length"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">More than it holds.</exception>
    public void Truncate(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length);
        Length = length;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var slot in _slots)
        {
            slot?.Dispose();
        }
    }
}
