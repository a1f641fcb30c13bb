using System.Net;
using System.Text;

namespace CoFrGeNet.Server.Tests;

/// <summary>Errors as literal JSON, as they are on the wire.</summary>
public class ErrorsWireTests
{
    [Theory]
    [InlineData("""{"prompt":"x","model":"gpt-9"}""", 404, """{"error":{"message":"There is no model 'gpt-9'; allowed are fake.","type":"invalid_request_error","param":"model","code":"model_not_found"}}""")]
    [InlineData("""{"model":"fake"}""", 400, """{"error":{"message":"The member 'prompt' is missing or empty.","type":"invalid_request_error","param":"prompt","code":null}}""")]
    [InlineData("""{"prompt":[1,"a"]}""", 400, """{"error":{"message":"The member 'prompt' has a value of the wrong kind: prompt must be a text, a list of texts, a list of token ids, or a list of lists of token ids.","type":"invalid_request_error","param":"prompt","code":null}}""")]
    [InlineData("""{"prompt":"x","repetition_penalty":1e-39}""", 400, """{"error":{"message":"repetition_penalty is 1E-39; allowed is 0.01 to 100.","type":"invalid_request_error","param":"repetition_penalty","code":null}}""")]
    [InlineData("""{"prompt":"x","max_tokens":"many"}""", 400, """{"error":{"message":"The member 'max_tokens' has a value of the wrong kind or out of range.","type":"invalid_request_error","param":"max_tokens","code":null}}""")]
    [InlineData("""{"prompt":"x","temperature":-1}""", 400, """{"error":{"message":"temperature is -1; allowed is 0 (greedy) or more.","type":"invalid_request_error","param":"temperature","code":null}}""")]
    [InlineData("""{"prompt":"x","frequency_penalty":3}""", 400, """{"error":{"message":"frequency_penalty is 3; allowed are -2 to 2.","type":"invalid_request_error","param":"frequency_penalty","code":null}}""")]
    [InlineData("""{"prompt":"x","stop_token_ids":[257]}""", 400, """{"error":{"message":"stop_token_ids is 257; allowed is 0 to 256.","type":"invalid_request_error","param":"stop_token_ids","code":null}}""")]
    [InlineData("""{"prompt":[1,300]}""", 400, """{"error":{"message":"Token 1 of the prompt is 300; allowed are ids from 0 to 256.","type":"invalid_request_error","param":"prompt","code":null}}""")]
    [InlineData("""{"prompt":"12345678901"}""", 400, """{"error":{"message":"This model's context holds 10 tokens, and the prompt has 11; shorten it by 1 (lm_eval: add max_length=10 to --model_args).","type":"invalid_request_error","param":"prompt","code":"context_length_exceeded"}}""")]
    [InlineData("""{"prompt":"x","stream_options":{"include_usage":true}}""", 400, """{"error":{"message":"stream_options is only allowed with stream: true.","type":"invalid_request_error","param":"stream_options","code":null}}""")]
    [InlineData("""{"prompt":"x","n":1000}""", 400, """{"error":{"message":"1 prompts with n 1000 are 1000 choices; this server allows 256 a request.","type":"invalid_request_error","param":"n","code":null}}""")]
    [InlineData("""{"prompt":"x","logit_bias":{"a":1}}""", 400, """{"error":{"message":"logit_bias has the key 'a'; allowed are token ids.","type":"invalid_request_error","param":"logit_bias","code":null}}""")]
    [InlineData("""{"prompt":"x","suffix":"y"}""", 400, """{"error":{"message":"These models continue a text; they cannot fill a gap before a suffix.","type":"invalid_request_error","param":"suffix","code":null}}""")]
    [InlineData("""nonsense""", 400, """{"error":{"message":"The body is no JSON object of the form that this address takes.","type":"invalid_request_error","param":null,"code":null}}""")]
    [InlineData("", 400, """{"error":{"message":"The body is no JSON object of the form that this address takes.","type":"invalid_request_error","param":null,"code":null}}""")]
    public async Task Mistakes_are_named_with_what_is_allowed(string body, int status, string answer)
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling(10));
        var (got, json, _) = await server.PostAsync("v1/completions", body);
        Assert.Equal((HttpStatusCode)status, got);
        Assert.Equal(answer, TestServer.Literal(json));
    }

    [Fact]
    public async Task Unknown_addresses_and_methods_answer_in_the_same_form()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        var (status, body, _) = await server.PostAsync("v1/embeddings", "{}");
        Assert.Equal(HttpStatusCode.NotFound, status);
        Assert.Equal("There is no POST /v1/embeddings here.", (string)body["error"]!["message"]!);
        using var get = await server.Http.GetAsync(new Uri("v1/completions", UriKind.Relative), TestServer.Cancel);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, get.StatusCode);
        Assert.Contains("\"type\":\"invalid_request_error\"", await get.Content.ReadAsStringAsync(TestServer.Cancel));
    }

    [Fact]
    public async Task A_body_that_is_too_large_is_refused_with_413()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling(), options => options with { MaxBodyBytes = 2000 });
        var (status, body, _) = await server.PostAsync("v1/completions", $$"""{"prompt":"{{new string('x', 3000)}}"}""");
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, status);
        Assert.Equal("body_too_large", (string)body["error"]!["code"]!);
    }

    [Fact]
    public async Task Our_own_mistake_is_a_500_that_tells_nothing_and_is_not_tried_again()
    {
        var model = FakeModel.Babbling();
        await using var server = await TestServer.StartAsync(model);
        model.Failure = new InvalidOperationException("secret detail");
        var (status, body, response) = await server.PostAsync("v1/completions", """{"prompt":"x"}""");
        Assert.Equal(HttpStatusCode.InternalServerError, status);
        Assert.Equal("server_error", (string)body["error"]!["type"]!);
        Assert.DoesNotContain("secret", body.ToJsonString());
        Assert.Equal("false", response.Headers.GetValues("x-should-retry").Single());
        model.Failure = null;
        Assert.Equal(HttpStatusCode.OK, (await server.PostAsync("v1/completions", """{"prompt":"x"}""")).Status);
    }

    [Fact]
    public async Task An_error_in_mid_stream_is_an_event_and_a_broken_connection()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(5);
        await using var server = await TestServer.StartAsync(model);
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/completions") { Content = TestServer.Json("""{"prompt":"x","max_tokens":500,"stream":true}""") };
        using var response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestServer.Cancel);
        await using var stream = await response.Content.ReadAsStreamAsync(TestServer.Cancel);
        var seen = new StringBuilder();
        var buffer = new byte[4096];
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            while (true)
            {
                var count = await stream.ReadAsync(buffer, TestServer.Cancel);
                if (count == 0)
                {
                    break;
                }

                seen.Append(Encoding.UTF8.GetString(buffer, 0, count));
                model.Failure ??= new InvalidOperationException("broken");
            }
        });
        Assert.Contains("""data: {"error":{"message":"The server made a mistake""", seen.ToString());
        Assert.DoesNotContain("[DONE]", seen.ToString());
        await TestServer.UntilAsync(() => model.OpenSequences == 0 && server.Models.All[0].Scheduler.Running == 0, "the slot was not given back");
    }

    [Fact]
    public async Task What_the_next_pass_takes_does_not_count_as_waiting()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(20);
        await using var server = await TestServer.StartAsync(model, options => options with { Slots = 8, QueueLimit = 2 });
        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => server.PostAsync("v1/completions", """{"prompt":"x","max_tokens":3}""")));
        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.OK, answer.Status));
    }

    [Fact]
    public async Task A_default_length_bows_to_the_servers_limit()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling(), options => options with { MaxTokens = 5 });
        var (status, body, _) = await server.PostAsync("v1/completions", """{"prompt":"x","ignore_eos":true}""");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(5, (int)body["usage"]!["completion_tokens"]!);
    }

    [Fact]
    public async Task Looking_at_ladders_takes_turns_with_streams_and_has_limits()
    {
        var model = new FakeLadderModel();
        await using var server = await TestServer.StartAsync([TestServer.Served("fake", model)], options => options with { RequestSeconds = 2 });
        // The first holds the model's thread until it may go on; sixteen wait; the next are sent away, and so is who waits too long.
        model.Hold();
        var looks = Enumerable.Range(0, 20).Select(_ => server.PostAsync("v1/ladders", """{"prompt":"abc"}""")).ToArray();
        var answers = await Task.WhenAll(looks.Select(async look => (await look).Status));
        Assert.Contains(HttpStatusCode.TooManyRequests, answers);
        Assert.Contains(HttpStatusCode.GatewayTimeout, answers);
        Assert.All(answers, status => Assert.True(status is HttpStatusCode.TooManyRequests or HttpStatusCode.GatewayTimeout, $"{status}"));
        model.Release();
        Assert.Equal(HttpStatusCode.OK, (await server.PostAsync("v1/ladders", """{"prompt":"abc"}""")).Status);
        // Those that nobody waited for were not computed.
        Assert.Equal(2, model.Looks);
        Assert.False(model.Overlapped);
    }

    [Fact]
    public async Task A_full_queue_is_429_with_a_time_to_come_again()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(20);
        await using var server = await TestServer.StartAsync(model, options => options with { Slots = 1, QueueLimit = 1 });
        var crowd = await QueueCrowd.FillAsync(server);
        var (status, body, response) = await server.PostAsync("v1/completions", """{"prompt":"x"}""");
        Assert.Equal(HttpStatusCode.TooManyRequests, status);
        Assert.Equal("rate_limit_error", (string)body["error"]!["type"]!);
        Assert.Equal(TimeSpan.FromSeconds(2), response.Headers.RetryAfter!.Delta);
        await crowd.DisposeAsync();
        await TestServer.UntilAsync(() => server.Models.All[0].Scheduler is { Running: 0, Waiting: 0 }, "clients left, and their slots stayed");
        Assert.Equal(0, model.OpenSequences);
    }

    [Fact]
    public async Task What_takes_too_long_is_ended_with_504()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(50);
        await using var server = await TestServer.StartAsync(model, options => options with { RequestSeconds = 1 });
        var (status, body, response) = await server.PostAsync("v1/completions", """{"prompt":"x","max_tokens":900}""");
        Assert.Equal(HttpStatusCode.GatewayTimeout, status);
        Assert.Equal("timeout", (string)body["error"]!["code"]!);
        Assert.Equal("false", response.Headers.GetValues("x-should-retry").Single());
        await TestServer.UntilAsync(() => model.OpenSequences == 0, "the slot was not given back");
    }
}
