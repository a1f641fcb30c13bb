using System.Buffers.Binary;
using System.Numerics;

namespace CoFrGeNet.Text;

/// <summary>Finds the token that has given bytes.</summary>
internal sealed class TokenLookup
{
    private readonly byte[][] _tokens;
    private readonly int[] _slots;
    private readonly int _shift;

    /// <summary>Indexes the tokens; the index in <paramref name="tokens"/> is the id.</summary>
    public TokenLookup(byte[][] tokens)
    {
        _tokens = tokens;
        var slots = (int)BitOperations.RoundUpToPowerOf2((uint)tokens.Length * 2);
        _slots = new int[slots];
        _shift = 64 - BitOperations.Log2((uint)slots);
        Array.Fill(_slots, -1);
        for (var id = 0; id < tokens.Length; id++)
        {
            var slot = Slot(tokens[id]);
            while (_slots[slot] >= 0)
            {
                slot = (slot + 1) & (slots - 1);
            }

            _slots[slot] = id;
        }
    }

    /// <summary>The id of the token, or -1.</summary>
    public int Find(ReadOnlySpan<byte> bytes)
    {
        for (var slot = Slot(bytes); _slots[slot] >= 0; slot = (slot + 1) & (_slots.Length - 1))
        {
            if (bytes.SequenceEqual(_tokens[_slots[slot]]))
            {
                return _slots[slot];
            }
        }

        return -1;
    }

    private int Slot(ReadOnlySpan<byte> bytes)
    {
        var hash = (ulong)bytes.Length;
        while (bytes.Length >= 8)
        {
            hash = Mix(hash ^ BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[8..];
        }

        var tail = 0UL;
        foreach (var b in bytes)
        {
            tail = (tail << 8) | b;
        }

        return (int)(Mix(hash ^ tail) >> _shift);
    }

    private static ulong Mix(ulong value)
    {
        value *= 0x9E3779B97F4A7C15UL;
        return (value ^ (value >> 29)) * 0xBF58476D1CE4E5B9UL;
    }
}
