using System.Text.Encodings.Web;
using System.Text.Json;

namespace CoFrGeNet.Text;

/// <summary>Writes a byte-level BPE vocabulary as Hugging Face's <c>tokenizer.json</c>.</summary>
internal static class HuggingFaceTokenizerWriter
{
    /// <summary>Gives the file's content.</summary>
    /// <param name="vocabulary">A vocabulary that is cut by GPT-2's pattern, or not at all.</param>
    public static byte[] Write(BytePairVocabulary vocabulary)
    {
        using var memory = new MemoryStream();
        using (var json = new Utf8JsonWriter(memory, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("version", "1.0");
            json.WriteNull("truncation");
            json.WriteNull("padding");
            WriteAddedTokens(json, vocabulary);
            json.WriteNull("normalizer");
            WritePreTokenizer(json, vocabulary);
            WriteByteLevel(json, "post_processor", prefixSpace: false, useRegex: true);
            WriteByteLevel(json, "decoder", prefixSpace: false, useRegex: true);
            WriteModel(json, vocabulary);
            json.WriteEndObject();
        }

        return memory.ToArray();
    }

    private static void WriteAddedTokens(Utf8JsonWriter json, BytePairVocabulary vocabulary)
    {
        json.WriteStartArray("added_tokens");
        foreach (var token in vocabulary.AddedTokens.OrderBy(token => token.Id))
        {
            json.WriteStartObject();
            json.WriteNumber("id", token.Id);
            json.WriteString("content", token.Content);
            json.WriteBoolean("single_word", false);
            json.WriteBoolean("lstrip", false);
            json.WriteBoolean("rstrip", false);
            json.WriteBoolean("normalized", false);
            json.WriteBoolean("special", token.IsSpecial);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WritePreTokenizer(Utf8JsonWriter json, BytePairVocabulary vocabulary)
    {
        if (vocabulary.Splitters is not ([] or [Gpt2Splitter]))
        {
            throw new InvalidOperationException("only GPT-2's pattern is written");
        }

        WriteByteLevel(json, "pre_tokenizer", vocabulary.AddPrefixSpace, useRegex: vocabulary.Splitters.Length > 0);
    }

    private static void WriteByteLevel(Utf8JsonWriter json, string name, bool prefixSpace, bool useRegex)
    {
        json.WriteStartObject(name);
        json.WriteString("type", "ByteLevel");
        json.WriteBoolean("add_prefix_space", prefixSpace);
        json.WriteBoolean("trim_offsets", true);
        json.WriteBoolean("use_regex", useRegex);
        json.WriteEndObject();
    }

    private static void WriteModel(Utf8JsonWriter json, BytePairVocabulary vocabulary)
    {
        var added = vocabulary.AddedTokens.ToDictionary(token => token.Id, token => token.Content);
        string Spelling(int id) => added.TryGetValue(id, out var content) ? content : ByteSymbols.ToSpelling(vocabulary.Tokens[id]);
        json.WriteStartObject("model");
        json.WriteString("type", "BPE");
        json.WriteNull("dropout");
        if (vocabulary.UnknownId is { } unknown)
        {
            json.WriteString("unk_token", Spelling(unknown));
        }
        else
        {
            json.WriteNull("unk_token");
        }

        json.WriteNull("continuing_subword_prefix");
        json.WriteNull("end_of_word_suffix");
        json.WriteBoolean("fuse_unk", false);
        json.WriteBoolean("byte_fallback", false);
        json.WriteBoolean("ignore_merges", vocabulary.IgnoreMerges);
        json.WriteStartObject("vocab");
        for (var id = 0; id < vocabulary.Tokens.Length; id++)
        {
            if (vocabulary.Tokens[id] is not null)
            {
                json.WriteNumber(Spelling(id), id);
            }
        }

        json.WriteEndObject();
        json.WriteStartArray("merges");
        foreach (var merge in vocabulary.Merges.OrderBy(merge => merge.Rank))
        {
            json.WriteStringValue($"{Spelling(merge.Left)} {Spelling(merge.Right)}");
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }
}
