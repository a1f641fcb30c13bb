using System.Numerics;

namespace CoFrGeNet.Training;

/// <summary>
/// The order in which windows of the training text are seen: a permutation for each epoch, computed from a counter. Nothing is stored,
/// so any position of a run can be reached at once.
/// </summary>
public sealed class WindowOrder
{
    private const int Rounds = 6;

    private readonly long _count;
    private readonly int _halfBits;
    private readonly ulong _seed;

    /// <summary>Creates the order.</summary>
    /// <param name="count">Number of windows; at least 1.</param>
    /// <param name="seed">Chooses the permutations.</param>
    public WindowOrder(long count, int seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        _count = count;
        _seed = Mix((ulong)seed + 1);
        _halfBits = Math.Max(1, (BitOperations.Log2((ulong)Math.Max(1, count - 1)) + 2) / 2);
    }

    /// <summary>The window at a position of the run; every window comes once an epoch.</summary>
    /// <param name="position">Number of windows seen before, from 0.</param>
    /// <returns>A window, 0 .. count - 1.</returns>
    public long At(long position)
    {
        var epoch = (ulong)(position / _count);
        var value = (ulong)(position % _count);
        // A Feistel network permutes 0 .. 4^halfBits - 1; walking on until the value is in range again permutes 0 .. count - 1.
        do
        {
            value = Permute(value, epoch);
        }
        while (value >= (ulong)_count);
        return (long)value;
    }

    private ulong Permute(ulong value, ulong epoch)
    {
        var mask = (1UL << _halfBits) - 1;
        ulong left = value >> _halfBits, right = value & mask;
        for (var round = 0UL; round < Rounds; round++)
        {
            (left, right) = (right, left ^ (Mix(right ^ _seed ^ Mix((epoch << 8) | round)) & mask));
        }

        return (left << _halfBits) | right;
    }

    // The finalizer of splitmix64: each input bit changes about half of the output bits.
    private static ulong Mix(ulong x)
    {
        x += 0x9E3779B97F4A7C15;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }
}
