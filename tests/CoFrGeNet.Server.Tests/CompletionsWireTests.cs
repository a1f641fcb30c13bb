using System.Net;
using System.Text.Json.Nodes;

namespace CoFrGeNet.Server.Tests;

/// <summary>Completions as literal JSON, as they are on the wire.</summary>
public class CompletionsWireTests
{
    [Fact]
    public async Task A_plain_answer_has_openais_form()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Saying(" you", 3));
        var (status, body, response) = await server.PostAsync("v1/completions", """{"model":"fake","prompt":"how","temperature":0,"unknown":{"a":[1]}}""");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.StartsWith("cmpl-", (string)body["id"]!);
        Assert.InRange(body["created"]!.GetValue<long>(), DateTimeOffset.UtcNow.ToUnixTimeSeconds() - 60, DateTimeOffset.UtcNow.ToUnixTimeSeconds());
        body["id"] = "ID";
        body["created"] = 0;
        Assert.Equal(
            """{"id":"ID","object":"text_completion","created":0,"model":"fake","choices":[{"index":0,"text":" you","logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}}""",
            body.ToJsonString());
        Assert.StartsWith("req-", response.Headers.GetValues("x-request-id").Single());
        Assert.Equal("application/json", response.Content.Headers.ContentType!.MediaType);
    }

    [Theory]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("text/plain")]
    public async Task The_content_type_does_not_matter(string type)
    {
        // curl -d sends the first one.
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        using var content = new StringContent("""{"prompt":"x","max_tokens":1}""", System.Text.Encoding.UTF8, type);
        using var response = await server.Http.PostAsync(new Uri("v1/completions", UriKind.Relative), content, TestServer.Cancel);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task A_stream_has_chunks_of_the_same_form_usage_and_an_end()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Saying("né", 1));
        var stream = await server.PostStreamAsync("v1/completions", """{"model":"fake","prompt":"x","temperature":0,"stream":true,"stream_options":{"include_usage":true}}""");
        var events = stream.Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        var id = (string)JsonNode.Parse(events[0]["data: ".Length..])!["id"]!;
        var created = JsonNode.Parse(events[0]["data: ".Length..])!["created"]!.ToJsonString();
        string Chunk(string rest) => $$"""data: {"id":"{{id}}","object":"text_completion","created":{{created}},"model":"fake",{{rest}}""";
        Assert.Equal(
            [
                Chunk("""
                    "choices":[{"index":0,"text":"n","logprobs":null,"finish_reason":null}]}
                    """),
                Chunk("""
                    "choices":[{"index":0,"text":"é","logprobs":null,"finish_reason":null}]}
                    """),
                Chunk("""
                    "choices":[{"index":0,"text":"","logprobs":null,"finish_reason":"stop"}]}
                    """),
                Chunk("""
                    "choices":[],"usage":{"prompt_tokens":1,"completion_tokens":4,"total_tokens":5}}
                    """),
                "data: [DONE]",
            ],
            events);
    }

    [Theory]
    [InlineData("\"ab\"", 1)]
    [InlineData("[\"ab\",\"cd\"]", 2)]
    [InlineData("[97,98]", 1)]
    [InlineData("[[97,98],[99,100],[101]]", 3)]
    public async Task Prompts_come_in_four_forms(string prompt, int count)
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        var (_, body, _) = await server.PostAsync("v1/completions", $$"""{"prompt":{{prompt}},"echo":true,"n":2,"max_tokens":1,"seed":1}""");
        var choices = body["choices"]!.AsArray();
        Assert.Equal(Enumerable.Range(0, count * 2), choices.Select(choice => (int)choice!["index"]!));
        Assert.All(choices, choice => Assert.Equal(((int)choice!["index"]! / 2) switch { 0 => "ab", 1 => "cd", _ => "e" }, ((string)choice["text"]!)[..^1]));
        Assert.Equal(count * 2, (int)body["usage"]!["completion_tokens"]!);
    }

    [Fact]
    public async Task Echo_with_logprobs_lists_the_prompt_and_the_one_token_even_if_it_is_the_end()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Saying("", 2));
        var (_, body, _) = await server.PostAsync("v1/completions", """{"model":"fake","prompt":[[104,105]],"temperature":0,"max_tokens":1,"logprobs":1,"seed":1234,"echo":true}""");
        var choice = body["choices"]![0]!;
        Assert.Equal("hi", (string)choice["text"]!);
        Assert.Equal("stop", (string)choice["finish_reason"]!);
        var logprobs = choice["logprobs"]!;
        Assert.Equal("""["h","i","<|endoftext|>"]""", TestServer.Literal(logprobs["tokens"]!));
        Assert.Equal("[0,1,2]", logprobs["text_offset"]!.ToJsonString());
        var values = logprobs["token_logprobs"]!.AsArray();
        var tops = logprobs["top_logprobs"]!.AsArray();
        Assert.Null(values[0]);
        Assert.Null(tops[0]);
        // Before the second token the model is sure that the end comes, and it has the lowest id of the best after none.
        Assert.Equal(values[2]!.ToJsonString(), tops[2]!["<|endoftext|>"]!.ToJsonString());
        Assert.All(Enumerable.Range(1, 2), i => Assert.NotEmpty(tops[i]!.AsObject()));
    }

    [Fact]
    public async Task Echo_without_generation_repeats_the_prompt_alone()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        var (_, body, _) = await server.PostAsync("v1/completions", """{"prompt":"né","max_tokens":0,"logprobs":0,"echo":true}""");
        var choice = body["choices"]![0]!;
        Assert.Equal("né", (string)choice["text"]!);
        Assert.Equal("length", (string)choice["finish_reason"]!);
        Assert.Equal("""["n","bytes:\\xc3","bytes:\\xa9"]""", choice["logprobs"]!["tokens"]!.ToJsonString());
        Assert.Equal("[0,1,2]", choice["logprobs"]!["text_offset"]!.ToJsonString());
        Assert.Equal(0, (int)body["usage"]!["completion_tokens"]!);
    }

    [Fact]
    public async Task A_seed_fixes_the_text_whether_it_is_streamed_batched_or_alone()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        var (_, many, _) = await server.PostAsync("v1/completions", """{"prompt":["one","two"],"n":3,"max_tokens":30,"seed":7}""");
        var (_, alone, _) = await server.PostAsync("v1/completions", """{"prompt":"two","max_tokens":30,"seed":9}""");
        Assert.Equal((string)alone["choices"]![0]!["text"]!, (string)many["choices"]![5]!["text"]!);
        Assert.NotEqual((string)many["choices"]![4]!["text"]!, (string)many["choices"]![5]!["text"]!);
        var stream = await server.PostStreamAsync("v1/completions", """{"prompt":"two","max_tokens":30,"seed":9,"stream":true}""");
        var pieces = stream.Split("\n\n").Where(line => line.StartsWith("data: {", StringComparison.Ordinal)).Select(line => (string)JsonNode.Parse(line[6..])!["choices"]![0]!["text"]!);
        Assert.Equal((string)alone["choices"]![0]!["text"]!, string.Concat(pieces));
        Assert.Equal(30, (int)alone["usage"]!["completion_tokens"]!);
    }

    [Fact]
    public async Task Stops_biases_and_vllms_members_are_obeyed()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Saying("one two three four", 1));
        async Task<JsonNode> Choice(string rest) => (await server.PostAsync("v1/completions", $$"""{"prompt":"x","temperature":0,"max_tokens":50,{{rest}}}""")).Body["choices"]![0]!;
        Assert.Equal("one ", (string)(await Choice("\"stop\":\"two\""))["text"]!);
        Assert.Equal("one two ", (string)(await Choice("\"stop\":[\"a\",\"b\",\"c\",\"d\",\"E\",\"three\"]"))["text"]!);
        Assert.Equal("one t", (string)(await Choice("\"stop_token_ids\":[119]"))["text"]!);
        // A token that would end the text too early is not drawn at all.
        Assert.Equal("one t\0o t", (string)(await Choice("\"stop_token_ids\":[119],\"min_tokens\":7,\"max_tokens\":9"))["text"]!);
        Assert.Equal("zzz", (string)(await Choice("\"logit_bias\":{\"122\":100},\"max_tokens\":3"))["text"]!);
        var ignoring = await Choice("\"ignore_eos\":true,\"return_token_ids\":true,\"max_tokens\":20");
        Assert.Equal("length", (string)ignoring["finish_reason"]!);
        Assert.Equal(20, ignoring["token_ids"]!.AsArray().Count);
        Assert.Equal("[120]", ignoring["prompt_token_ids"]!.ToJsonString());
    }

    [Fact]
    public async Task The_best_of_several_comes_first_and_alone()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        var (_, all, _) = await server.PostAsync("v1/completions", """{"prompt":"x","n":4,"max_tokens":8,"seed":1,"logprobs":0}""");
        var (_, best, _) = await server.PostAsync("v1/completions", """{"prompt":"x","n":1,"best_of":4,"max_tokens":8,"seed":1}""");
        static double Mean(JsonNode? choice) => choice!["logprobs"]!["token_logprobs"]!.AsArray().Average(value => (double)value!);
        Assert.Equal((string)all["choices"]!.AsArray().MaxBy(Mean)!["text"]!, (string)best["choices"]!.AsArray().Single()!["text"]!);
        Assert.Null(best["choices"]![0]!["logprobs"]);
    }
}
