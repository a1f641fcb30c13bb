namespace CoFrGeNet.Text;

/// <summary>Cuts one long text into documents where its author did not.</summary>
internal static class TextChunks
{
    /// <summary>The most characters of a chunk.</summary>
    public const int MaxLength = 1 << 14;

    private const int MinLength = 256;
    private const int WantedChunks = 32;

    /// <summary>
    /// Contiguous chunks that joined are the text: of about 16 Ki characters, fewer for a short text so that some 32 come about, but
    /// not below 256. Cut after a blank line, or else a line, or else a space, in the second half of the room.
    /// </summary>
    public static IEnumerable<string> Cut(string text)
    {
        var room = Math.Clamp(text.Length / WantedChunks, MinLength, MaxLength);
        for (var start = 0; start < text.Length;)
        {
            var length = text.Length - start <= room ? text.Length - start : ChunkLength(text.AsSpan(start, room));
            yield return text.Substring(start, length);
            start += length;
        }
    }

    private static int ChunkLength(ReadOnlySpan<char> room)
    {
        var half = room.Length / 2;
        ReadOnlySpan<string> borders = ["\n\n", "\n", " "];
        foreach (var border in borders)
        {
            var found = room[half..].LastIndexOf(border);
            if (found >= 0)
            {
                return half + found + border.Length;
            }
        }

        return char.IsHighSurrogate(room[^1]) ? room.Length - 1 : room.Length;
    }
}
