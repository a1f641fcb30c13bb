using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using CoFrGeNet.Storage;
using CoFrGeNet.Text;

namespace CoFrGeNet.Interop;

/// <summary>
/// Writes our tokenizers as the transformers library reads them: <c>tokenizer.json</c> for byte-level byte-pair encoding, and a
/// <c>tokenizer_config.json</c> that both read.
/// </summary>
internal static class HuggingFaceTokenizer
{
    private const string EndOfText = "<|endoftext|>";

    /// <summary>The name of the file with vocabulary and merges.</summary>
    public const string FileName = "tokenizer.json";

    // Bytes that are no printable character stand for characters from U+0100 on, so that every token is a text without spaces.
    private static readonly char[] Letters = ByteLetters();

    /// <summary>Writes both files.</summary>
    /// <param name="folder">An existing folder; files of the same names are replaced.</param>
    /// <param name="tokenizer">A tokenizer whose first 256 single-byte tokens are the bytes.</param>
    public static void Write(string folder, ITokenizer tokenizer)
    {
        var tokens = Enumerable.Range(0, tokenizer.VocabularySize).Where(id => id != tokenizer.EndOfTextId).Select(id => tokenizer.GetBytes(id).ToArray()).ToArray();
        DurableFile.Write(Path.Combine(folder, FileName), stream =>
        {
            using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
            Write(json, tokenizer, tokens);
        });
        DurableFile.Write(Path.Combine(folder, TokenizerFiles.FileName), stream =>
        {
            using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
            json.WriteStartObject();
            json.WriteString("type", tokenizer.Name);
            json.WriteNumber("vocabularySize", tokenizer.VocabularySize);
            json.WriteString("tokenizer_class", "PreTrainedTokenizerFast");
            if (tokenizer.EndOfTextId is not null)
            {
                json.WriteString("eos_token", EndOfText);
            }

            json.WriteBoolean("clean_up_tokenization_spaces", false);
            json.WriteEndObject();
        });
    }

    /// <summary>The pairs that were merged, in their order, from the tokens in the order in which they were made.</summary>
    /// <param name="tokens">The bytes of each token; the index is the id, and those of one byte were not merged.</param>
    /// <returns>The two halves of each longer token.</returns>
    public static IEnumerable<(byte[] Left, byte[] Right)> Merges(IReadOnlyList<byte[]> tokens)
    {
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var id = 0; id < tokens.Count; id++)
        {
            ids[Encoding.Latin1.GetString(tokens[id])] = id;
        }

        for (var id = 0; id < tokens.Count; id++)
        {
            if (tokens[id].Length > 1)
            {
                yield return Halves(tokens[id], id, ids);
            }
        }
    }

    // Encodes the token with all merges before its own; what is left are the two halves that its own merge joins.
    private static (byte[] Left, byte[] Right) Halves(byte[] token, int own, Dictionary<string, int> ids)
    {
        var parts = token.Select(b => ((char)b).ToString()).ToList();
        while (parts.Count > 2)
        {
            int best = own, at = -1;
            for (var i = 0; i + 1 < parts.Count; i++)
            {
                if (ids.TryGetValue(parts[i] + parts[i + 1], out var id) && id < best)
                {
                    (best, at) = (id, i);
                }
            }

            if (at < 0)
            {
                throw new InvalidOperationException($"token {own} is not made of two earlier ones");
            }

            parts[at] += parts[at + 1];
            parts.RemoveAt(at + 1);
        }

        return (Encoding.Latin1.GetBytes(parts[0]), Encoding.Latin1.GetBytes(parts[1]));
    }

    private static void Write(Utf8JsonWriter json, ITokenizer tokenizer, byte[][] tokens)
    {
        json.WriteStartObject();
        json.WriteString("version", "1.0");
        json.WriteNull("truncation");
        json.WriteNull("padding");
        json.WriteStartArray("added_tokens");
        if (tokenizer.EndOfTextId is { } end)
        {
            json.WriteStartObject();
            json.WriteNumber("id", end);
            json.WriteString("content", EndOfText);
            foreach (var name in new[] { "single_word", "lstrip", "rstrip", "normalized" })
            {
                json.WriteBoolean(name, false);
            }

            json.WriteBoolean("special", true);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNull("normalizer");
        // Words are cut as GPT-2 cuts them; without merges there is nothing to cut for.
        WriteByteLevel(json, "pre_tokenizer", cutsWords: tokens.Length > 256);
        json.WriteNull("post_processor");
        WriteByteLevel(json, "decoder", cutsWords: true);
        json.WriteStartObject("model");
        json.WriteString("type", "BPE");
        foreach (var name in new[] { "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix" })
        {
            json.WriteNull(name);
        }

        json.WriteBoolean("fuse_unk", false);
        json.WriteBoolean("byte_fallback", false);
        json.WriteStartObject("vocab");
        for (var id = 0; id < tokens.Length; id++)
        {
            json.WriteNumber(Spell(tokens[id]), id);
        }

        json.WriteEndObject();
        json.WriteStartArray("merges");
        foreach (var (left, right) in Merges(tokens))
        {
            json.WriteStringValue($"{Spell(left)} {Spell(right)}");
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteByteLevel(Utf8JsonWriter json, string name, bool cutsWords)
    {
        json.WriteStartObject(name);
        json.WriteString("type", "ByteLevel");
        json.WriteBoolean("add_prefix_space", false);
        json.WriteBoolean("trim_offsets", true);
        json.WriteBoolean("use_regex", cutsWords);
        json.WriteEndObject();
    }

    /// <summary>A token as vocabulary files spell it: one letter a byte.</summary>
    /// <param name="token">Its bytes.</param>
    internal static string Spell(byte[] token) => string.Concat(token.Select(b => Letters[b]));

    private static char[] ByteLetters()
    {
        var letters = new char[256];
        var next = 256;
        for (var b = 0; b < 256; b++)
        {
            var isPrintable = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            letters[b] = (char)(isPrintable ? b : next++);
        }

        return letters;
    }
}
