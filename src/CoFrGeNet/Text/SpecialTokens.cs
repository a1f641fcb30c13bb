using System.Buffers;
using System.Text;

namespace CoFrGeNet.Text;

/// <summary>The spelling of the end of a text, and decoding by the bytes of tokens, shared by the tokenizers.</summary>
public static class SpecialTokens
{
    /// <summary>How the end of a text is spelled in text files and when ids are decoded.</summary>
    public const string EndOfText = "<|endoftext|>";

    /// <summary><see cref="EndOfText"/> as bytes.</summary>
    public static ReadOnlySpan<byte> EndOfTextUtf8 => "<|endoftext|>"u8;

    /// <summary>Joins the bytes of tokens, then decodes them: a character may be spread over several tokens.</summary>
    internal static string DecodeUtf8(ITokenizer tokenizer, ReadOnlySpan<int> ids)
    {
        if (ids.IsEmpty)
        {
            return string.Empty;
        }

        var bytes = new ArrayBufferWriter<byte>(ids.Length * 4);
        foreach (var id in ids)
        {
            bytes.Write(tokenizer.GetBytes(id));
        }

        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }
}
