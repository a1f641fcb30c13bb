using System.Security.Cryptography;
using CoFrGeNet.Text;

namespace CoFrGeNet.Data;

/// <summary>Tells whether two tokenizers give the same ids, by what they do rather than by what they are called.</summary>
public static class TokenizerIdentity
{
    // Words, contractions, digits, white space, symbols and scripts whose splitting or merging differs between vocabularies that share their tokens.
    private const string Probe =
        "The tokenizer's ids: 1234567 it'll I'LL, don't;  two  spaces\ttab\n\n\nlines \r\n end. x==y!=z<|endoftext|> naïve Привет мир 日本語 ½ \ud83d\ude00\ud835\udc00 \u0001";

    /// <summary>SHA-256 over the bytes of all tokens, the marks, and the ids of a text that shows how words are cut.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <returns>The hash in hexadecimal.</returns>
    public static string Hash(ITokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        void Number(int number) => hash.AppendData(BitConverter.GetBytes(number));
        Number(tokenizer.VocabularySize);
        Number(tokenizer.EndOfTextId ?? -1);
        Number(tokenizer.BeginOfTextId ?? -1);
        for (var id = 0; id < tokenizer.VocabularySize; id++)
        {
            var bytes = tokenizer.GetBytes(id);
            Number(bytes.Length);
            hash.AppendData(bytes);
        }

        foreach (var id in tokenizer.Encode(Probe))
        {
            Number(id);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
