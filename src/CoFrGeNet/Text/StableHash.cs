namespace CoFrGeNet.Text;

/// <summary>A 64-bit hash of text that is the same on every machine, run and version.</summary>
internal static class StableHash
{
    /// <summary>FNV-1a over the UTF-16 units, then a finalizer, because FNV leaves the upper bits of short texts alike.</summary>
    public static ulong Of(ulong seed, ReadOnlySpan<char> text)
    {
        var hash = Mix(seed ^ 0xCBF29CE484222325UL);
        foreach (var c in text)
        {
            hash = (hash ^ c) * 0x100000001B3UL;
        }

        return Mix(hash ^ (ulong)text.Length);
    }

    private static ulong Mix(ulong value)
    {
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9UL;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EBUL;
        return value ^ (value >> 31);
    }
}
