using System.Text;
using System.Text.Json;
using CoFrGeNet.Text;
using FsCheck;
using FsCheck.Fluent;

namespace CoFrGeNet.Tests.Text;

public class Gpt2TokenizerTests
{
    private static readonly Gpt2Tokenizer Tokenizer = Gpt2Tokenizer.Instance;

    [Fact]
    public void Ids_equal_those_of_the_original_vocabulary_on_the_golden_texts()
    {
        using var json = JsonDocument.Parse(typeof(Gpt2TokenizerTests).Assembly.GetManifestResourceStream("gpt2.json")!);
        var cases = json.RootElement.EnumerateArray().ToArray();
        Assert.True(cases.Length > 400);
        foreach (var golden in cases)
        {
            var text = golden.GetProperty("text").GetString()!;
            var ids = golden.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()).ToArray();
            Assert.Equal(ids, Tokenizer.Encode(text));
            Assert.Equal(ids.Length, Tokenizer.CountTokens(text));
            Assert.Equal(text, Tokenizer.Decode(ids));
        }
    }

    [Fact]
    public void Every_token_has_the_bytes_of_the_original_vocabulary()
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(SharedData.PathOrSkip("tokenizers/gpt2/encoder.json")));
        var entries = json.RootElement.EnumerateObject().ToDictionary(entry => entry.Value.GetInt32(), entry => entry.Name);
        Assert.Equal(Tokenizer.VocabularySize, entries.Count);
        for (var id = 0; id < Tokenizer.EndOfTextId; id++)
        {
            // The file spells bytes that are no visible Latin-1 character as U+0100 and up, in order.
            var bytes = entries[id].Select(c => (byte)(c < 256 ? c : HiddenBytes[c - 256])).ToArray();
            Assert.Equal(bytes, Tokenizer.GetBytes(id).ToArray());
        }

        Assert.Equal(entries[50256], Encoding.UTF8.GetString(Tokenizer.GetBytes(50256)));
    }

    [Fact]
    public void Merging_leads_to_every_token_so_loading_need_not_try()
    {
        var vocabulary = Tokenizer.Vocabulary;
        Assert.True(vocabulary.EveryTokenMerges);
        var merger = new BytePairMerger(vocabulary.Tokens, null, vocabulary.Merges.Count, vocabulary.Tokens.Length);
        foreach (var merge in vocabulary.Merges)
        {
            merger.Add(merge);
        }

        var parts = new int[200];
        for (var id = 0; id < vocabulary.Tokens.Length; id++)
        {
            Assert.True(merger.Merge(vocabulary.Tokens[id], parts) == 1 && parts[0] == id, $"token {id}");
        }
    }

    [Fact]
    public void Every_token_encodes_to_itself_when_it_is_one_piece_of_text()
    {
        var strict = new UTF8Encoding(false, throwOnInvalidBytes: true);
        var checkedTokens = 0;
        for (var id = 0; id < Tokenizer.EndOfTextId; id++)
        {
            string text;
            try
            {
                text = strict.GetString(Tokenizer.GetBytes(id));
            }
            catch (DecoderFallbackException)
            {
                continue;
            }

            if (Gpt2Splitter.FirstPiece(text) == text.Length)
            {
                Assert.Equal([id], Tokenizer.Encode(text));
                checkedTokens++;
            }
        }

        Assert.True(checkedTokens > 49_000);
    }

    [Fact]
    public void Special_token_text_is_ordinary()
    {
        var ids = Tokenizer.Encode("a<|endoftext|>b");
        Assert.DoesNotContain(50256, ids);
        Assert.Equal("<|endoftext|>", Tokenizer.Decode([50256]));
    }

    [Theory]
    [InlineData("a\ud800b")]
    [InlineData("\udc00")]
    [InlineData("\ude00\ud83d")]
    [InlineData("x \ud83d")]
    public void Lone_surrogates_are_read_as_replacement_characters(string text)
    {
        var replaced = string.Concat(text.Select(c => char.IsSurrogate(c) ? '\ufffd' : c));
        Assert.Equal(Tokenizer.Encode(replaced), Tokenizer.Encode(text));
        Assert.Equal(replaced, Tokenizer.Decode(Tokenizer.Encode(text)));
    }

    [Theory]
    [InlineData("a", 1_000_000)]
    [InlineData("=", 1_000_000)]
    [InlineData("ab", 300_000)]
    [InlineData("\n", 300_000)]
    [InlineData("é", 300_000)]
    public void A_very_long_piece_is_encoded_like_a_short_one_in_the_middle(string unit, int count)
    {
        // A quadratic merge would take hours here.
        var text = string.Concat(Enumerable.Repeat(unit, count));
        var ids = Tokenizer.Encode(text);
        Assert.Equal(text, Tokenizer.Decode(ids));
        var head = Tokenizer.Encode(string.Concat(Enumerable.Repeat(unit, 1000)));
        Assert.Equal(head[..8], ids[..8]);
    }

    [Fact]
    public void Words_around_the_length_where_merging_changes_its_way_agree_with_the_textbook()
    {
        var ids = Enumerable.Range(0, 50256).ToDictionary(id => Encoding.Latin1.GetString(Tokenizer.GetBytes(id)), id => id);
        var random = new Random(5);
        for (var length = 100; length < 160; length++)
        {
            var word = new string([.. Enumerable.Range(0, length).Select(_ => "aeinorst"[random.Next(8)])]);
            Assert.Equal(Textbook(word, ids), Tokenizer.Encode(word));
        }
    }

    [Fact]
    public void Any_text_of_whole_characters_comes_back()
    {
        Prop.ForAll<string>(text =>
        {
            var whole = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text ?? ""));
            var ids = Tokenizer.Encode(whole);
            return Tokenizer.Decode(ids) == whole && Tokenizer.CountTokens(whole) == ids.Length;
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(50257)]
    public void An_id_outside_the_vocabulary_is_refused(int id)
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Tokenizer.GetBytes(id).Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => Tokenizer.Decode([id]));
    }

    private static int[] HiddenBytes { get; } =
        [.. Enumerable.Range(0, 256).Where(b => b is not ((>= 33 and <= 126) or (>= 161 and <= 172) or >= 174))];

    /// <summary>Joins the pair of the smallest merged id, one at a time, looking tokens up by their spelling.</summary>
    private static int[] Textbook(string word, Dictionary<string, int> ids)
    {
        var parts = word.Select(c => c.ToString()).ToList();
        while (true)
        {
            var best = Enumerable.Range(0, parts.Count - 1)
                .Select(i => (Id: ids.GetValueOrDefault(parts[i] + parts[i + 1], int.MaxValue), Index: i))
                .Min();
            if (best.Id == int.MaxValue)
            {
                return [.. parts.Select(part => ids[part])];
            }

            parts[best.Index] += parts[best.Index + 1];
            parts.RemoveAt(best.Index + 1);
        }
    }
}
