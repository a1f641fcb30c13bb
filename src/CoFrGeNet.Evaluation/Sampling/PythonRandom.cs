namespace CoFrGeNet.Evaluation;

/// <summary>
/// CPython's <c>random.Random</c>: the Mersenne Twister MT19937 with its seeding and its ways to draw. lm-evaluation-harness draws few-shot
/// examples and bootstrap samples with it, so equal seeds must give equal draws.
/// </summary>
/// <remarks>Not thread-safe.</remarks>
public sealed class PythonRandom
{
    private const int Size = 624;
    private const int Shift = 397;

    private readonly uint[] _state = new uint[Size];
    private int _next = Size;

    /// <summary>Seeds as <c>random.Random(seed)</c> does with a whole number.</summary>
    /// <param name="seed">The seed; its sign is dropped, as in Python.</param>
    public PythonRandom(long seed)
    {
        var magnitude = seed < 0 ? (ulong)-seed : (ulong)seed;
        var high = (uint)(magnitude >> 32);
        SeedBy(high == 0 ? [(uint)magnitude] : [(uint)magnitude, high]);
    }

    /// <summary><c>random()</c>: a number in [0, 1) with 53 random bits.</summary>
    public double NextDouble()
    {
        ulong high = NextWord() >> 5, low = NextWord() >> 6;
        return ((high * 67108864.0) + low) / 9007199254740992.0;
    }

    /// <summary><c>_randbelow(n)</c>: a whole number in [0, n).</summary>
    /// <param name="bound">n; at least 1.</param>
    public int NextBelow(int bound)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bound, 1);
        var bits = 32 - System.Numerics.BitOperations.LeadingZeroCount((uint)bound);
        uint drawn;
        do
        {
            drawn = NextWord() >> (32 - bits);
        }
        while (drawn >= (uint)bound);
        return (int)drawn;
    }

    /// <summary><c>sample(range(population), count)</c>: distinct numbers in the order in which they are drawn.</summary>
    /// <param name="population">How many there are to draw from.</param>
    /// <param name="count">How many are drawn; at most <paramref name="population"/>.</param>
    public int[] Sample(int population, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, population);
        // CPython keeps a pool where that is smaller than a set of what is drawn; the two ways draw differently.
        var setSize = 21.0 + (count > 5 ? Math.Pow(4, Math.Ceiling(Math.Log(count * 3, 4))) : 0);
        return population <= setSize ? SampleFromPool(population, count) : SampleWithSet(population, count);
    }

    private int[] SampleFromPool(int population, int count)
    {
        var pool = Enumerable.Range(0, population).ToArray();
        var result = new int[count];
        for (var i = 0; i < count; i++)
        {
            var drawn = NextBelow(population - i);
            result[i] = pool[drawn];
            pool[drawn] = pool[population - i - 1];
        }

        return result;
    }

    private int[] SampleWithSet(int population, int count)
    {
        var seen = new HashSet<int>();
        var result = new int[count];
        for (var i = 0; i < count; i++)
        {
            do
            {
                result[i] = NextBelow(population);
            }
            while (!seen.Add(result[i]));
        }

        return result;
    }

    private uint NextWord()
    {
        if (_next == Size)
        {
            Refill();
        }

        var y = _state[_next++];
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c5680;
        y ^= (y << 15) & 0xefc60000;
        return y ^ (y >> 18);
    }

    private void Refill()
    {
        for (var i = 0; i < Size; i++)
        {
            var y = (_state[i] & 0x80000000) | (_state[(i + 1) % Size] & 0x7fffffff);
            _state[i] = _state[(i + Shift) % Size] ^ (y >> 1) ^ ((y & 1) * 0x9908b0df);
        }

        _next = 0;
    }

    private void SeedBy(uint[] key)
    {
        _state[0] = 19650218;
        for (var n = 1; n < Size; n++)
        {
            _state[n] = Spread(n, 1812433253) + (uint)n;
        }

        int i = 1, j = 0;
        for (var rounds = Math.Max(Size, key.Length); rounds > 0; rounds--)
        {
            _state[i] = (_state[i] ^ Spread(i, 1664525)) + key[j] + (uint)j;
            i = Following(i);
            j = (j + 1) % key.Length;
        }

        for (var rounds = Size - 1; rounds > 0; rounds--)
        {
            _state[i] = (_state[i] ^ Spread(i, 1566083941)) - (uint)i;
            i = Following(i);
        }

        _state[0] = 0x80000000;
    }

    private uint Spread(int i, uint factor) => (_state[i - 1] ^ (_state[i - 1] >> 30)) * factor;

    private int Following(int i)
    {
        if (i + 1 < Size)
        {
            return i + 1;
        }

        _state[0] = _state[Size - 1];
        return 1;
    }
}
