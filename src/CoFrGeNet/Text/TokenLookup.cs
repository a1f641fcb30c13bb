using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace CoFrGeNet.Text;

/// <summary>Finds the token that has given bytes. Tokens of up to eight bytes, which most words are, are told apart without looking at their bytes.</summary>
internal sealed class TokenLookup
{
    private const int PackedBytes = 8;

    private readonly byte[]?[] _tokens;
    private readonly Slot[] _slots;
    private readonly int _shift;

    /// <summary>Indexes the tokens; the index in <paramref name="tokens"/> is the id. Entries that are null are left out.</summary>
    public TokenLookup(byte[]?[] tokens)
    {
        _tokens = tokens;
        var slots = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(2, tokens.Length * 2));
        _slots = new Slot[slots];
        _shift = 64 - BitOperations.Log2((uint)slots);
        for (var id = 0; id < tokens.Length; id++)
        {
            if (tokens[id] is not { Length: > 0 } bytes || Find(bytes) >= 0)
            {
                continue;
            }

            var key = Key(bytes);
            var slot = SlotOf(key, bytes.Length);
            while (_slots[slot].Length > 0)
            {
                slot = (slot + 1) & (slots - 1);
            }

            _slots[slot] = new Slot(key, id, bytes.Length);
        }
    }

    /// <summary>The id of the token, or -1.</summary>
    public int Find(ReadOnlySpan<byte> bytes)
    {
        var key = Key(bytes);
        var slots = _slots;
        for (var index = SlotOf(key, bytes.Length); ; index = (index + 1) & (slots.Length - 1))
        {
            ref readonly var slot = ref slots[index];
            if (slot.Length == 0)
            {
                return -1;
            }

            if (slot.Key == key && slot.Length == bytes.Length && (bytes.Length <= PackedBytes || bytes.SequenceEqual(_tokens[slot.Id])))
            {
                return slot.Id;
            }
        }
    }

    /// <summary>Up to eight bytes as they are, of more a hash.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Key(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > PackedBytes)
        {
            return Hash(bytes);
        }

        // Where the two reads overlap they agree.
        if (bytes.Length >= 4)
        {
            return BinaryPrimitives.ReadUInt32LittleEndian(bytes)
                | ((ulong)BinaryPrimitives.ReadUInt32LittleEndian(bytes[^4..]) << (8 * (bytes.Length - 4)));
        }

        return bytes.IsEmpty ? 0 : bytes[0] | ((ulong)bytes[bytes.Length / 2] << (8 * (bytes.Length / 2))) | ((ulong)bytes[^1] << (8 * (bytes.Length - 1)));
    }

    private static ulong Hash(ReadOnlySpan<byte> bytes)
    {
        var hash = (ulong)bytes.Length;
        for (; bytes.Length > PackedBytes; bytes = bytes[PackedBytes..])
        {
            hash = Mix(hash ^ BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        }

        return Mix(hash ^ Key(bytes) ^ ((ulong)bytes.Length << 60));
    }

    private static ulong Mix(ulong value)
    {
        value *= 0x9E3779B97F4A7C15UL;
        return (value ^ (value >> 29)) * 0xBF58476D1CE4E5B9UL;
    }

    private int SlotOf(ulong key, int length) => (int)(Mix(key + (ulong)length) >> _shift);

    private readonly record struct Slot(ulong Key, int Id, int Length);
}
