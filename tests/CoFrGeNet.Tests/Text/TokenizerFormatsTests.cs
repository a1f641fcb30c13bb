using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using CoFrGeNet.Text;
using FsCheck;
using FsCheck.Fluent;
using Microsoft.ML.Tokenizers;

namespace CoFrGeNet.Tests.Text;

/// <summary>Tokenizers from files, against other readers of the same files.</summary>
public class TokenizerFormatsTests
{
    private static readonly string[] Texts =
    [
        "Hello, world! It's 12345 o'clock; I'LL don't WE'VE 'SO.",
        "  leading and   inner   spaces \t tabs\t\n\n\nlines \r\n\r\n  end   ",
        "naïve café — “quotes” … 日本語テスト Привет мир עברית ١٢٣٤",
        "emoji 😀👍🏽👨‍👩‍👧 math 𝐀𝐁𝐂 𝟏𝟐𝟑𝟒 ½Ⅳ²",
        "for (int i = 0; i < n; ++i) { x[i] += y->z; } // comment\n\t\treturn;\n",
        "\u00a0\u2003wide\u3000spaces\u0085next\u2028line",
        "a\u0000b\u0001\u001b[0m<|endoftext|> <|begin_of_text|>",
        "'ſ 'S 's 'LL 'ſo",
        "",
    ];

    [Fact]
    public void Gpt2_from_its_two_files_gives_the_ids_of_the_built_in_one()
    {
        var read = Tokenizers.Get(SharedData.PathOrSkip("tokenizers/gpt2/encoder.json"));
        Assert.Same(read, Tokenizers.Get(SharedData.PathOrSkip("tokenizers/gpt2/encoder.json")));
        Assert.Equal(50257, read.VocabularySize);
        Assert.Equal(50256, read.EndOfTextId);
        Assert.Equal(Gpt2Tokenizer.Instance.Encode(Prose()), read.Encode(Prose()));
        foreach (var text in Texts)
        {
            Assert.Equal(Gpt2Tokenizer.Instance.Encode(text), read.Encode(text));
        }
    }

    [Fact]
    public void Gpt2_from_a_rank_file_gives_the_ids_of_the_built_in_one()
    {
        using var folder = new TemporaryFolder();
        var lines = Enumerable.Range(0, 50256).Select(id => $"{Convert.ToBase64String(Gpt2Tokenizer.Instance.GetBytes(id))} {id}\n");
        var read = Tokenizers.Get(folder.Write("r50k_base.tiktoken", string.Concat(lines)));
        Assert.Equal(Gpt2Tokenizer.Instance.Encode(Prose()), read.Encode(Prose()));
        Assert.Equal(50256, read.EndOfTextId);
        // A model folder keeps the file.
        TokenizerFiles.Save(folder.Root, read);
        Assert.Equal(read.Encode(Texts[0]), TokenizerFiles.Load(folder.Root).Encode(Texts[0]));
        Assert.True(File.Exists(folder.File("tokenizer.tiktoken")));
    }

    [Fact]
    public void Llama3_gives_the_ids_of_another_reader_of_its_ranks()
    {
        var read = (BytePairTokenizer)Tokenizers.Get(SharedData.PathOrSkip("tokenizers/llama3/tokenizer.json.gz"));
        Assert.Equal(128256, read.VocabularySize);
        Assert.Equal(128000, read.BeginOfTextId);
        Assert.Equal(128001, read.EndOfTextId);
        var reference = Llama3Reference(read);
        foreach (var text in Texts.Append(Prose()[..200_000]))
        {
            // The other reader matches UTF-16 units: letters outside the basic plane are symbols to it.
            var basic = string.Concat(text.Where(c => !char.IsSurrogate(c) && c != 'ſ'));
            Assert.Equal(reference.EncodeToIds(basic, considerPreTokenization: true), read.Encode(basic));
            Assert.Equal(text, read.Decode(read.Encode(text)));
        }

        Assert.DoesNotContain(read.Encode("<|begin_of_text|><|eot_id|>"), id => id >= 128000);
    }

    [Fact]
    public void Llama3_ids_that_are_known_from_elsewhere()
    {
        var read = Tokenizers.Get(SharedData.PathOrSkip("tokenizers/llama3/tokenizer.json.gz"));
        // cl100k's first hundred thousand ids are Llama 3's too.
        Assert.Equal([9906, 11, 1917, 0], read.Encode("Hello, world!"));
        Assert.Equal([264, 220, 4513, 10961], read.Encode(" a 123456"));
    }

    [Fact]
    public void Llama3_as_a_model_folder_keeps_the_file_of_its_maker()
    {
        using var folder = new TemporaryFolder();
        var read = Tokenizers.Get(SharedData.PathOrSkip("tokenizers/llama3/tokenizer.json.gz"));
        TokenizerFiles.Save(folder.Root, read);
        var loaded = TokenizerFiles.Load(folder.Root);
        Assert.Equal(read.Encode(Texts[1]), loaded.Encode(Texts[1]));
        Assert.Equal(read.EndOfTextId, loaded.EndOfTextId);
        using var config = JsonDocument.Parse(File.ReadAllBytes(folder.File("tokenizer_config.json")));
        Assert.Equal("<|end_of_text|>", config.RootElement.GetProperty("eos_token").GetString());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Hand_written_splitters_cut_where_their_patterns_match(bool llama3)
    {
        var regex = new Regex(llama3 ? Llama3Splitter.Pattern : Gpt2Splitter.Pattern, RegexOptions.CultureInvariant);
        PieceSplitter splitter = llama3 ? new Llama3Splitter(3) : Gpt2Splitter.Instance;
        var characters = " \n\r\t'aBsSlLtTvV1²½,.é日\u00a0\u3000-_½"
            .ToCharArray();
        var random = new Random(11);
        for (var i = 0; i < 20_000; i++)
        {
            var text = new string([.. Enumerable.Range(0, 1 + random.Next(14)).Select(_ => characters[random.Next(characters.Length)])]);
            Assert.Equal(regex.Matches(text).Select(match => match.Index + match.Length), Ends(splitter, text));
        }
    }

    [Fact]
    public void Any_text_of_whole_characters_comes_back_through_every_kind_of_tokenizer()
    {
        ITokenizer[] tokenizers =
        [
            ByteTokenizer.Instance,
            Gpt2Tokenizer.Instance,
            BytePairTrainer.Train(Texts, 320, cancellationToken: TestContext.Current.CancellationToken),
        ];
        Prop.ForAll<string>(text =>
        {
            var whole = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text ?? ""));
            return tokenizers.All(tokenizer =>
            {
                var ids = tokenizer.Encode(text ?? "");
                return tokenizer.Decode(ids) == whole && tokenizer.CountTokens(text ?? "") == ids.Length && ids.All(id => id >= 0 && id < tokenizer.VocabularySize);
            });
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Streamed_pieces_are_whole_characters_and_join_to_the_text()
    {
        var tokenizer = BytePairTrainer.Train(["abc"], 257, cancellationToken: TestContext.Current.CancellationToken);
        Prop.ForAll<int[]>(numbers =>
        {
            // Any ids, not only those of texts: a model may give anything.
            var ids = (numbers ?? []).Select(number => (int)((uint)number % 257)).ToArray();
            var decoder = new StreamingDecoder(tokenizer);
            var pieces = ids.Select(decoder.Append).Append(decoder.Flush()).ToArray();
            return string.Concat(pieces) == tokenizer.Decode(ids)
                && pieces.All(piece => piece.Length == 0 || (!char.IsLowSurrogate(piece[0]) && !char.IsHighSurrogate(piece[^1])));
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void The_tokenizer_of_llama2_c_gives_the_ids_of_its_own_encoder()
    {
        // Ids printed by llama2.c's own sources for its test prompts.
        var read = Tokenizers.Get(SharedData.PathOrSkip("tokenizers/llama2/tokenizer.bin"));
        Assert.Equal(32000, read.VocabularySize);
        Assert.Equal([], read.Encode(""));
        Assert.Equal([306, 4658, 278, 6593, 310, 2834, 338], read.Encode("I believe the meaning of life is"));
        Assert.Equal(
            [3439, 17632, 1925, 29892, 278, 6368, 310, 14215, 537, 5922, 393, 29871],
            read.Encode("Simply put, the theory of relativity states that "));
        Assert.Equal(
            [319, 11473, 2643, 378, 629, 271, 18099, 278, 3815, 373, 278, 6826, 29901, 13, 13, 4706, 6324, 14332, 29892, 13, 13, 4706, 306, 925, 29871],
            read.Encode("A brief message congratulating the team on the launch:\n\n        Hi everyone,\n\n        I just "));
        Assert.Equal(" Ünïcode 😀 \u0001", read.Decode(read.Encode("Ünïcode 😀 \u0001")));
    }

    [Fact]
    public void The_small_llama2_vocabulary_spells_the_expected_story()
    {
        using var expected = JsonDocument.Parse(File.ReadAllBytes(SharedData.PathOrSkip("checkpoints/stories260K/hf/expected_greedy.json")));
        var ids = expected.RootElement.EnumerateObject().First(member => member.Value.ValueKind == JsonValueKind.Array && member.Value.GetArrayLength() > 100)
            .Value.EnumerateArray().Select(id => id.GetInt32()).SkipWhile(id => id == 1).ToArray();
        using var folder = new TemporaryFolder();
        var read = Tokenizers.Get(SharedData.PathOrSkip("checkpoints/stories260K/tok512.bin"));
        Assert.Equal(512, read.VocabularySize);
        var text = read.Decode(ids);
        Assert.StartsWith(" Once upon a time", text, StringComparison.Ordinal);
        Assert.Equal(ids, read.Encode(text.TrimStart(' ')));
        TokenizerFiles.Save(folder.Root, read);
        Assert.Equal(ids, TokenizerFiles.Load(folder.Root).Encode(text.TrimStart(' ')));
    }

    [Theory]
    [InlineData("{}", "model")]
    [InlineData("""{"model":{"type":"Unigram","vocab":[]}}""", "Unigram")]
    [InlineData("""{"model":{"type":"WordPiece","vocab":{}}}""", "WordPiece")]
    [InlineData("""{"model":{"type":"BPE","byte_fallback":true,"vocab":{},"merges":[]}}""", "byte_fallback")]
    [InlineData("""{"model":{"type":"BPE","end_of_word_suffix":"</w>","vocab":{},"merges":[]}}""", "end_of_word_suffix")]
    [InlineData("""{"normalizer":{"type":"NFC"},"model":{"type":"BPE","vocab":{},"merges":[]}}""", "NFC")]
    [InlineData("""{"pre_tokenizer":{"type":"Metaspace"},"model":{"type":"BPE","vocab":{},"merges":[]}}""", "Metaspace")]
    [InlineData("""{"pre_tokenizer":null,"model":{"type":"BPE","vocab":{},"merges":[]}}""", "ByteLevel")]
    [InlineData("""{"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}""", "'b'")]
    [InlineData("""{"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}}""", "id 0")]
    [InlineData("""{"pre_tokenizer":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"日":0},"merges":[]}}""", "日")]
    [InlineData("""{"model":{"type":"BPE"}}""", "tokenizer.json")]
    [InlineData("{\"model\":", "valid JSON")]
    [InlineData("IQ== 0\nIg== 1\n", "2 ranks")]
    [InlineData("IQ== 0\nIg== 0\n", "line 2")]
    [InlineData("just text", "no tokenizer")]
    public void What_cannot_be_read_is_refused_by_name(string content, string named)
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("some.json", content);
        var message = Assert.Throws<UserErrorException>(() => Tokenizers.Get(path)).Message;
        Assert.Contains(named, message, StringComparison.Ordinal);
        Assert.Contains(path, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void Parts_of_a_file_that_change_ids_are_followed()
    {
        var symbols = string.Join(',', Enumerable.Range(0, 256).Select(b => $"{JsonSerializer.Serialize(ByteSymbols.ToSpelling([(byte)b]))}:{b}"));
        string Content(string preTokenizer, string model = "", string added = "") =>
            $$$"""{"added_tokens":[{{{added}}}],"pre_tokenizer":{{{preTokenizer}}},"model":{"type":"BPE","vocab":{ {{{symbols}}},"12":256,"abc":257,"Ġa":258},"merges":[["1","2"],"Ġ a"]{{{model}}} }}""";
        using var folder = new TemporaryFolder();
        ITokenizer Read(string content) => Tokenizers.Get(folder.Write($"{Guid.NewGuid()}.json", content));

        const string byteLevel = """{"type":"ByteLevel","add_prefix_space":false}""";
        Assert.Equal([256, '3'], Read(Content(byteLevel)).Encode("123"));
        Assert.Equal(['1', '2'], Read(Content($$"""{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{{byteLevel}}]}""")).Encode("12"));
        Assert.Equal(['a', 'b', 'c'], Read(Content(byteLevel)).Encode("abc"));
        Assert.Equal([257], Read(Content(byteLevel, ""","ignore_merges":true""")).Encode("abc"));
        Assert.Equal([258], Read(Content("""{"type":"ByteLevel","add_prefix_space":true}""")).Encode("a"));
        // A mark that is not special is found in any text, a special one never.
        const string added = """{"id":300,"content":"12a","special":false},{"id":301,"content":"<s>","special":true}""";
        var marked = Read(Content(byteLevel, added: added));
        Assert.Equal(['x', 300, 'b'], marked.Encode("x12ab"));
        Assert.DoesNotContain(301, marked.Encode("<s>"));
        Assert.Equal(302, marked.VocabularySize);
        Assert.Equal(301, marked.BeginOfTextId);
        Assert.Equal("<s>12a\ufffd", marked.Decode([301, 300, 299]));
        // A pattern of its own keeps 1 and 2 apart.
        const string split = """{"type":"Split","pattern":{"Regex":"1"},"behavior":"Isolated","invert":false}""";
        Assert.Equal(['1', '2', 258], Read(Content($$"""{"type":"Sequence","pretokenizers":[{{split}},{{byteLevel}}]}""")).Encode("12 a"));
    }

    [Fact]
    public void Llama3_without_a_file_says_how_to_give_one()
    {
        var message = Assert.Throws<UserErrorException>(() => Tokenizers.Get("llama3")).Message;
        Assert.Contains("data.tokenizer=", message, StringComparison.Ordinal);
    }

    private static List<int> Ends(PieceSplitter splitter, string text)
    {
        var ends = new List<int>();
        for (var start = 0; start < text.Length; start = ends[^1])
        {
            ends.Add(splitter.EndOfPiece(text, start));
        }

        return ends;
    }

    private static TiktokenTokenizer Llama3Reference(BytePairTokenizer read)
    {
        var lines = Enumerable.Range(0, 128000).Select(id => $"{Convert.ToBase64String(read.GetBytes(id))} {id}\n");
        using var ranks = new MemoryStream(Encoding.UTF8.GetBytes(string.Concat(lines)));
        return TiktokenTokenizer.Create(ranks, new RegexPreTokenizer(new Regex(Llama3Splitter.Pattern, RegexOptions.Compiled), null), null);
    }

    private static string Prose() => File.ReadAllText(SharedData.PathOrSkip("tinyshakespeare/input.txt"));
}
