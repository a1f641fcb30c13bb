using System.Numerics;

namespace CoFrGeNet.Text;

/// <summary>Which token two adjacent tokens merge into: an open-addressed table, because it is asked several times a letter.</summary>
internal sealed class PairTable
{
    /// <summary>The answer for a pair that does not merge; larger than any id.</summary>
    public const int None = int.MaxValue;

    private const ulong Empty = ulong.MaxValue;

    private readonly ulong[] _keys;
    private readonly int[] _values;
    private readonly int _shift;

    /// <summary>Makes room for at most <paramref name="capacity"/> pairs.</summary>
    public PairTable(int capacity)
    {
        var slots = (int)BitOperations.RoundUpToPowerOf2((uint)capacity * 2);
        _keys = new ulong[slots];
        _values = new int[slots];
        _shift = 64 - BitOperations.Log2((uint)slots);
        Array.Fill(_keys, Empty);
    }

    /// <summary>Adds a pair that is not there yet.</summary>
    public void Add(int left, int right, int merged)
    {
        var key = Key(left, right);
        var slot = Slot(key);
        while (_keys[slot] != Empty)
        {
            slot = (slot + 1) & (_keys.Length - 1);
        }

        _keys[slot] = key;
        _values[slot] = merged;
    }

    /// <summary>The token that the pair merges into, or <see cref="None"/>.</summary>
    public int Find(int left, int right)
    {
        var key = Key(left, right);
        for (var slot = Slot(key); ; slot = (slot + 1) & (_keys.Length - 1))
        {
            if (_keys[slot] == key)
            {
                return _values[slot];
            }

            if (_keys[slot] == Empty)
            {
                return None;
            }
        }
    }

    private static ulong Key(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    private int Slot(ulong key) => (int)((key * 0x9E3779B97F4A7C15UL) >> _shift);
}
