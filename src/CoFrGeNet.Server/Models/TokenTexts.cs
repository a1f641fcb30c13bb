using System.Text;
using System.Text.Unicode;
using CoFrGeNet.Text;

namespace CoFrGeNet.Server;

/// <summary>The texts of single tokens, as log-probabilities name them. For several threads at once.</summary>
internal sealed class TokenTexts
{
    private readonly ITokenizer _tokenizer;
    private readonly string?[] _texts;

    /// <summary>Reads the texts of a tokenizer's ids, each when it is first asked for.</summary>
    public TokenTexts(ITokenizer tokenizer)
    {
        _tokenizer = tokenizer;
        _texts = new string?[tokenizer.VocabularySize];
    }

    /// <summary>The text of a token; bytes that are no whole characters are spelled as <c>bytes:\xe2\x80</c>, as OpenAI does.</summary>
    /// <param name="id">The token.</param>
    public string this[int id] => _texts[id] ??= Spell(_tokenizer.GetBytes(id));

    /// <summary>The bytes of a token.</summary>
    /// <param name="id">The token.</param>
    public int[] Bytes(int id) => [.. _tokenizer.GetBytes(id).ToArray().Select(value => (int)value)];

    /// <summary>How many characters begin in a token, as Unicode code points.</summary>
    /// <param name="id">The token.</param>
    public int Characters(int id)
    {
        var count = 0;
        foreach (var value in _tokenizer.GetBytes(id))
        {
            count += (value & 0xC0) != 0x80 ? 1 : 0;
        }

        return count;
    }

    private static string Spell(ReadOnlySpan<byte> bytes)
    {
        if (Utf8.IsValid(bytes))
        {
            return Encoding.UTF8.GetString(bytes);
        }

        var text = new StringBuilder("bytes:");
        foreach (var value in bytes)
        {
            text.Append("\\x").Append(value.ToString("x2"));
        }

        return text.ToString();
    }
}
