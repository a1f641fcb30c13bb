using System.Buffers.Binary;

namespace CoFrGeNet.Data;

/// <summary>The header of llm.c's token files.</summary>
/// <param name="BytesPerToken">2 or 4.</param>
/// <param name="Tokens">Number of ids after the header.</param>
internal readonly record struct TokenHeader(int BytesPerToken, int Tokens)
{
    /// <summary>Length of the header.</summary>
    public const int Bytes = 1024;

    private const int NarrowMagic = 20240520;
    private const int NarrowVersion = 1;
    private const int WideMagic = 20240801;
    private const int WideVersion = 7;

    /// <summary>Whether a file begins with one of the magic numbers.</summary>
    public static bool HasMagic(ReadOnlySpan<byte> head) =>
        head.Length >= 4 && BinaryPrimitives.ReadInt32LittleEndian(head) is NarrowMagic or WideMagic;

    /// <summary>Reads a header.</summary>
    /// <param name="head">The first bytes of the file, at most <see cref="Bytes"/>.</param>
    /// <param name="path">The file, for messages.</param>
    /// <exception cref="UserErrorException">It is none.</exception>
    public static TokenHeader Read(ReadOnlySpan<byte> head, string path)
    {
        if (head.Length < Bytes)
        {
            throw new UserErrorException($"{path} has {head.Length} bytes, less than a header of {Bytes}; it was cut short, take another copy or prepare the text again");
        }

        var magic = BinaryPrimitives.ReadInt32LittleEndian(head);
        if (magic is not (NarrowMagic or WideMagic))
        {
            throw new UserErrorException($"{path} begins with the number {magic}; token files begin with {NarrowMagic} (two bytes a token) or {WideMagic} (four)");
        }

        var version = BinaryPrimitives.ReadInt32LittleEndian(head[4..]);
        var expected = magic == NarrowMagic ? NarrowVersion : WideVersion;
        if (version != expected)
        {
            throw new UserErrorException($"{path} has version {version}; of files that begin with {magic} only version {expected} is known");
        }

        var tokens = BinaryPrimitives.ReadInt32LittleEndian(head[8..]);
        return tokens >= 0
            ? new TokenHeader(magic == NarrowMagic ? 2 : 4, tokens)
            : throw new UserErrorException($"{path} counts {tokens} tokens in its header; it is damaged, take another copy or prepare the text again");
    }

    /// <summary>Writes the header.</summary>
    /// <param name="head">Receives <see cref="Bytes"/> bytes.</param>
    public void Write(Span<byte> head)
    {
        head[..Bytes].Clear();
        BinaryPrimitives.WriteInt32LittleEndian(head, BytesPerToken == 2 ? NarrowMagic : WideMagic);
        BinaryPrimitives.WriteInt32LittleEndian(head[4..], BytesPerToken == 2 ? NarrowVersion : WideVersion);
        BinaryPrimitives.WriteInt32LittleEndian(head[8..], Tokens);
    }
}
