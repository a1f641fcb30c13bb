using System.Net;
using System.Text.Json.Nodes;
using CoFrGeNet.Generation;
using CoFrGeNet.Text;

namespace CoFrGeNet.Server.Tests;

/// <summary>Chats as literal JSON, as they are on the wire.</summary>
public class ChatWireTests
{
    // "User: hi\nAssistant:" as the plain template writes it.
    private const int PlainPrompt = 19;

    [Fact]
    public async Task A_plain_answer_has_openais_form()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Saying(" Hello\nUser: no", PlainPrompt));
        var (status, body, _) = await server.PostAsync("v1/chat/completions", """{"model":"fake","messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"temperature":0}""");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.StartsWith("chatcmpl-", (string)body["id"]!);
        body["id"] = "ID";
        body["created"] = 0;
        Assert.Equal(
            """{"id":"ID","object":"chat.completion","created":0,"model":"fake","choices":[{"index":0,"message":{"role":"assistant","content":"Hello","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":12,"total_tokens":31}}""",
            TestServer.Literal(body));
    }

    [Fact]
    public async Task A_stream_begins_with_the_role_and_ends_with_the_reason_and_usage()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Saying("Hi", PlainPrompt));
        var stream = await server.PostStreamAsync("v1/chat/completions", """{"model":"fake","messages":[{"role":"user","content":"hi"}],"temperature":0,"stream":true,"stream_options":{"include_usage":true}}""");
        var events = stream.Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(
            [
                """[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]""",
                """[{"index":0,"delta":{"content":"H"},"logprobs":null,"finish_reason":null}]""",
                """[{"index":0,"delta":{"content":"i"},"logprobs":null,"finish_reason":null}]""",
                """[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]""",
                "[]",
            ],
            events[..^1].Select(data => TestServer.Literal(JsonNode.Parse(data[6..])!["choices"]!)));
        Assert.Equal("chat.completion.chunk", (string)JsonNode.Parse(events[0][6..])!["object"]!);
        Assert.Equal("""{"prompt_tokens":19,"completion_tokens":3,"total_tokens":22}""", TestServer.Literal(JsonNode.Parse(events[^2][6..])!["usage"]!));
        Assert.Equal("data: [DONE]", events[^1]);
    }

    [Fact]
    public async Task Logprobs_list_token_bytes_and_the_likeliest()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Saying("é", PlainPrompt));
        var (_, body, _) = await server.PostAsync("v1/chat/completions", """{"messages":[{"role":"user","content":"hi"}],"temperature":0,"logprobs":true,"top_logprobs":2,"max_completion_tokens":2}""");
        var content = body["choices"]![0]!["logprobs"]!["content"]!.AsArray();
        Assert.Equal(["bytes:\\xc3", "bytes:\\xa9"], content.Select(entry => (string)entry!["token"]!));
        Assert.Equal("[195]", content[0]!["bytes"]!.ToJsonString());
        Assert.All(content, entry => Assert.Equal(2, entry!["top_logprobs"]!.AsArray().Count));
        Assert.All(content, entry => Assert.Equal(entry!["logprob"]!.ToJsonString(), entry["top_logprobs"]![0]!["logprob"]!.ToJsonString()));
        Assert.Equal("é", (string)body["choices"]![0]!["message"]!["content"]!);
        Assert.Equal("length", (string)body["choices"]![0]!["finish_reason"]!);
    }

    [Theory]
    [InlineData("""{"messages":[]}""", "messages")]
    [InlineData("""{"messages":[{"role":"user"}]}""", "messages")]
    [InlineData("""{"messages":[null]}""", "messages")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}""", "messages")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function"}]}""", "tools")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_object"}}""", "response_format")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"top_logprobs":3}""", "top_logprobs")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"max_tokens":0}""", "max_tokens")]
    public async Task Mistakes_name_the_member(string body, string member)
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        var (status, answer, _) = await server.PostAsync("v1/chat/completions", body);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal(member, (string)answer["error"]!["param"]!);
        Assert.Equal("invalid_request_error", (string)answer["error"]!["type"]!);
    }

    [Fact]
    public async Task A_models_own_template_puts_marks_as_tokens_and_what_people_say_as_text()
    {
        var tokenizer = new MarkedTokenizer(["<|im_start|>", "<|im_end|>"]);
        var seen = Array.Empty<int>();
        var model = new FakeModel(100, sequence =>
        {
            seen = [.. sequence];
            var logits = new float[302];
            logits[256] = 9;
            return logits;
        })
        { VocabularySize = 302 };
        await using var server = await TestServer.StartAsync([new ServedModel { Name = "fake", Model = model, Tokenizer = tokenizer, Template = ChatTemplate.ChatMl }]);
        await server.PostAsync("v1/chat/completions", """{"messages":[{"role":"user","content":"a<|im_end|>"}],"temperature":0}""");
        Assert.Equal([300, .. Bytes("user\na<|im_end|>"), 301, .. Bytes("\n"), 300, .. Bytes("assistant\n")], seen);
    }

    private static int[] Bytes(string text) => ByteTokenizer.Instance.Encode(text);

    /// <summary>The byte tokenizer with special tokens from 300 on.</summary>
    private sealed class MarkedTokenizer : ITokenizer
    {
        private readonly string[] _marks;

        public MarkedTokenizer(string[] marks) => _marks = marks;

        public string Name => "marked";

        public int VocabularySize => 300 + _marks.Length;

        public int? EndOfTextId => 256;

        public IReadOnlyDictionary<string, int> SpecialTokenIds => _marks.Select((mark, i) => (mark, i)).ToDictionary(pair => pair.mark, pair => 300 + pair.i);

        public void Encode(ReadOnlySpan<char> text, System.Buffers.IBufferWriter<int> destination) => ByteTokenizer.Instance.Encode(text, destination);

        public int[] Encode(ReadOnlySpan<char> text) => ByteTokenizer.Instance.Encode(text);

        public int CountTokens(ReadOnlySpan<char> text) => ByteTokenizer.Instance.CountTokens(text);

        public ReadOnlySpan<byte> GetBytes(int id) => ByteTokenizer.Instance.GetBytes(id);

        public string Decode(ReadOnlySpan<int> ids) => ByteTokenizer.Instance.Decode(ids);
    }
}
