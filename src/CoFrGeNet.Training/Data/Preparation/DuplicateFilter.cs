namespace CoFrGeNet.Training;

/// <summary>Remembers 128-bit hashes of documents; 16 bytes a slot, at most three quarters of them used, so some 22 to 43 bytes a document.</summary>
internal sealed class DuplicateFilter
{
    private UInt128[] _slots = new UInt128[1 << 12];
    private int _count;
    private bool _hasZero;

    /// <summary>Adds a hash.</summary>
    /// <returns>Whether it was new.</returns>
    public bool Add(UInt128 hash)
    {
        if (hash == 0)
        {
            // Zero marks free slots.
            var isNew = !_hasZero;
            _hasZero = true;
            return isNew;
        }

        if (_count >= _slots.Length / 4 * 3)
        {
            var old = _slots;
            _slots = new UInt128[checked(old.Length * 2)];
            foreach (var known in old.Where(known => known != 0))
            {
                _slots[Find(known)] = known;
            }
        }

        var slot = Find(hash);
        if (_slots[slot] == hash)
        {
            return false;
        }

        _slots[slot] = hash;
        _count++;
        return true;
    }

    private int Find(UInt128 hash)
    {
        var slot = (int)((ulong)hash & (ulong)(_slots.Length - 1));
        while (_slots[slot] != 0 && _slots[slot] != hash)
        {
            slot = (slot + 1) & (_slots.Length - 1);
        }

        return slot;
    }
}
