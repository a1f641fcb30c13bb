using CoFrGeNet.Generation;
using CoFrGeNet.Text;

namespace CoFrGeNet.Tests.Generation;

public class ChatTemplateTests
{
    private static readonly ChatTurn[] Conversation = [new("system", "Be brief."), new("user", " Hi!\n"), new("assistant", "Hello."), new("user", "Bye <|eot_id|>")];

    [Fact]
    public void Plain_lines_end_where_the_assistant_speaks() => Assert.Equal(
        "System: Be brief.\nUser: Hi!\nAssistant: Hello.\nUser: Bye <|eot_id|>\nAssistant:",
        Text(ChatTemplate.Plain));

    [Fact]
    public void Chat_ml_has_its_marks() => Assert.Equal(
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi!<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n"
            + "<|im_start|>user\nBye <|eot_id|><|im_end|>\n<|im_start|>assistant\n",
        Text(ChatTemplate.ChatMl));

    [Fact]
    public void Llama_3_reads_marks_as_tokens_and_what_people_say_as_text()
    {
        var tokenizer = Tokenizers.Get(SharedData.PathOrSkip("tokenizers/llama3/tokenizer.json.gz"));
        var ids = new PromptEncoder(tokenizer, 100).Encode(ChatTemplate.Llama3.Render(Conversation));
        Assert.Equal(
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi!<|eot_id|>"
                + "<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nBye <|eot_id|><|eot_id|>"
                + "<|start_header_id|>assistant<|end_header_id|>\n\n",
            tokenizer.Decode(ids));
        // Of the five in the text, the one that a person typed is no token.
        Assert.Equal(4, ids.Count(id => id == tokenizer.SpecialTokenIds["<|eot_id|>"]));
        Assert.Equal([tokenizer.SpecialTokenIds["<|eot_id|>"]], ChatTemplate.Llama3.StopIds(tokenizer));
    }

    [Fact]
    public void Tokens_span_parts_of_a_prompt()
    {
        var encoder = new PromptEncoder(Gpt2Tokenizer.Instance, 100);
        Assert.Equal(encoder.Encode("Hello world"), encoder.Encode([new PromptPart("Hel", IsMarked: true), new PromptPart("lo wor"), new PromptPart("ld")]));
    }

    [Theory]
    [InlineData("chat_template.jinja", "{{ bos }}<|im_start|>{{ role }} .. <|im_end|>", "chatml")]
    [InlineData("tokenizer_config.json", """{ "chat_template": "<|im_start|>..<|im_end|>" }""", "chatml")]
    [InlineData("tokenizer_config.json", """{ "type": "byte" }""", "plain")]
    [InlineData("chat_template.jinja", "[INST] {{ x }} [/INST]", "plain")]
    [InlineData("chat_template.jinja", "<|start_header_id|><|end_header_id|><|eot_id|>", "plain")]
    [InlineData(null, "", "plain")]
    public void A_folder_says_which_form_its_model_knows(string? file, string content, string expected)
    {
        using var folder = new TemporaryFolder();
        if (file is not null)
        {
            folder.Write(file, content);
        }

        Assert.Equal(expected, ChatTemplate.ForFolder(folder.Root, new MarkedTokenizer()).Name);
    }

    [Fact]
    public void A_damaged_file_is_named()
    {
        using var folder = new TemporaryFolder();
        folder.Write("tokenizer_config.json", "{");
        Assert.Contains("tokenizer_config.json is not valid JSON", Assert.Throws<UserErrorException>(() => ChatTemplate.ForFolder(folder.Root, ByteTokenizer.Instance)).Message);
    }

    private static string Text(ChatTemplate template) => string.Concat(template.Render(Conversation).Select(part => part.Text));

    // Bytes with the marks of ChatML.
    private sealed class MarkedTokenizer : ITokenizer
    {
        public string Name => "marked";

        public int VocabularySize => 259;

        public int? EndOfTextId => 256;

        public IReadOnlyDictionary<string, int> SpecialTokenIds { get; } = new Dictionary<string, int> { ["<|im_start|>"] = 257, ["<|im_end|>"] = 258 };

        public void Encode(ReadOnlySpan<char> text, System.Buffers.IBufferWriter<int> destination) => ByteTokenizer.Instance.Encode(text, destination);

        public int[] Encode(ReadOnlySpan<char> text) => ByteTokenizer.Instance.Encode(text);

        public int CountTokens(ReadOnlySpan<char> text) => ByteTokenizer.Instance.CountTokens(text);

        public ReadOnlySpan<byte> GetBytes(int id) => ByteTokenizer.Instance.GetBytes(id);

        public string Decode(ReadOnlySpan<int> ids) => ByteTokenizer.Instance.Decode(ids);
    }
}
