namespace CoFrGeNet.Text;

/// <summary>
/// The spelling of bytes in GPT-2's files: visible Latin-1 characters stand for themselves, the other bytes for U+0100 and up, in order.
/// </summary>
internal static class ByteSymbols
{
    private static readonly char[] Symbols = BuildSymbols();
    private static readonly short[] Bytes = BuildBytes();

    /// <summary>All 256 symbols, by byte.</summary>
    public static ReadOnlySpan<char> All => Symbols;

    /// <summary>The bytes of a spelling, or null where a character is no byte's symbol.</summary>
    public static byte[]? ToBytes(ReadOnlySpan<char> spelling)
    {
        var bytes = new byte[spelling.Length];
        for (var i = 0; i < spelling.Length; i++)
        {
            if (spelling[i] >= Bytes.Length || Bytes[spelling[i]] < 0)
            {
                return null;
            }

            bytes[i] = (byte)Bytes[spelling[i]];
        }

        return bytes;
    }

    /// <summary>The spelling of bytes.</summary>
    public static string ToSpelling(ReadOnlySpan<byte> bytes)
    {
        var spelling = new char[bytes.Length];
        for (var i = 0; i < bytes.Length; i++)
        {
            spelling[i] = Symbols[bytes[i]];
        }

        return new string(spelling);
    }

    private static char[] BuildSymbols()
    {
        var symbols = new char[256];
        var hidden = 256;
        for (var b = 0; b < 256; b++)
        {
            symbols[b] = b is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174 ? (char)b : (char)hidden++;
        }

        return symbols;
    }

    private static short[] BuildBytes()
    {
        var bytes = new short[512];
        Array.Fill(bytes, (short)-1);
        for (var b = 0; b < 256; b++)
        {
            bytes[Symbols[b]] = (short)b;
        }

        return bytes;
    }
}
