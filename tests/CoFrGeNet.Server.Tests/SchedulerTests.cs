namespace CoFrGeNet.Server.Tests;

/// <summary>The scheduler as clients see it.</summary>
public class SchedulerTests
{
    [Fact]
    public async Task Sequences_share_passes_and_none_overlap()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(2);
        await using var server = await TestServer.StartAsync(model);
        await Task.WhenAll(Enumerable.Range(0, 16).Select(i => server.PostAsync("v1/completions", $$"""{"prompt":"x{{i}}","max_tokens":40}""")));
        Assert.False(model.Overlapped);
        Assert.InRange(model.LargestPass, 8, 16);
        // 16 requests of 40 tokens one after the other would take 640 passes.
        Assert.InRange(model.Passes, 40, 320);
    }

    [Fact]
    public async Task A_large_request_does_not_hold_up_a_small_one()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(1);
        await using var server = await TestServer.StartAsync(model, options => options with { Slots = 2 });
        var large = server.PostAsync("v1/completions", """{"prompt":"x","n":100,"max_tokens":20}""");
        await TestServer.UntilAsync(() => server.Models.All[0].Scheduler.Running == 2, "the large request did not start");
        await server.PostAsync("v1/completions", """{"prompt":"y","max_tokens":20}""");
        Assert.False(large.IsCompleted, "the small request waited for the large one");
        Assert.Equal(100, (await large).Body["choices"]!.AsArray().Count);
    }

    [Fact]
    public async Task A_long_prompt_is_read_in_parts_while_streams_go_on()
    {
        var model = FakeModel.Babbling(5000);
        model.PassTime = TimeSpan.FromMilliseconds(1);
        await using var server = await TestServer.StartAsync(model);
        var before = model.Passes;
        await server.PostAsync("v1/completions", $$"""{"prompt":"{{new string('x', 2000)}}","max_tokens":1}""");
        // Parts of 256 tokens.
        Assert.Equal(8, model.Passes - before);
    }

    [Fact]
    public async Task Sequences_wait_until_the_caches_have_room_for_their_whole_length()
    {
        var model = FakeModel.Babbling();
        await using var server = await TestServer.StartAsync([TestServer.Served("fake", model) with { CacheTokens = 320 }]);
        // Three tokens and ninety take two pages of 64, so two sequences fit at a time.
        var answers = await Task.WhenAll(Enumerable.Range(0, 6).Select(i => server.PostAsync("v1/completions", $$"""{"prompt":"abc","max_tokens":90,"ignore_eos":true,"seed":{{i}}}""")));
        Assert.All(answers, answer => Assert.Equal(90, (int)answer.Body["usage"]!["completion_tokens"]!));
        Assert.Equal(2, model.LargestPass);
        // What can never fit is refused instead of waiting for ever.
        var (status, body, _) = await server.PostAsync("v1/completions", """{"prompt":"abc","max_tokens":400}""");
        Assert.Equal(System.Net.HttpStatusCode.BadRequest, status);
        Assert.Equal("Prompt and text need a cache of 448 tokens; this server has 320. Ask for fewer tokens.", (string)body["error"]!["message"]!);
    }

    [Fact]
    public async Task Each_prompt_is_scored_once_for_all_its_choices()
    {
        var model = FakeModel.Babbling();
        await using var server = await TestServer.StartAsync(model);
        var (_, body, _) = await server.PostAsync("v1/completions", """{"prompt":["abc","de"],"n":3,"max_tokens":5,"logprobs":2,"echo":true,"seed":4}""");
        var choices = body["choices"]!.AsArray();
        Assert.All(choices.Take(3), choice => Assert.Equal(
            choices[0]!["logprobs"]!["token_logprobs"]!.AsArray().Take(3).Select(value => value?.ToJsonString()), choice!["logprobs"]!["token_logprobs"]!.AsArray().Take(3).Select(value => value?.ToJsonString())));
        Assert.All(choices, choice => Assert.InRange(choice!["logprobs"]!["token_logprobs"]!.AsArray().Count, 3, 8));
        // The same texts as without scoring: the first token is drawn from the same logits.
        var (_, plain, _) = await server.PostAsync("v1/completions", """{"prompt":["abc","de"],"n":3,"max_tokens":5,"seed":4}""");
        Assert.Equal(plain["choices"]!.AsArray().Select((choice, i) => (i < 3 ? "abc" : "de") + (string)choice!["text"]!), choices.Select(choice => (string)choice!["text"]!));
    }

    [Fact]
    public async Task Clients_that_vanish_give_their_slots_back()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(2);
        await using var server = await TestServer.StartAsync(model, options => options with { Slots = 4 });
        for (var i = 0; i < 20; i++)
        {
            using var leave = new CancellationTokenSource(TimeSpan.FromMilliseconds(5 + (i * 3)));
            var body = $$"""{"prompt":"x","n":4,"max_tokens":900,"stream":{{(i % 2 == 0 ? "true" : "false")}}}""";
            await Assert.ThrowsAnyAsync<Exception>(async () => await (await server.Http.PostAsync(new Uri("v1/completions", UriKind.Relative), TestServer.Json(body), leave.Token)).Content.ReadAsStringAsync(leave.Token));
        }

        await TestServer.UntilAsync(() => server.Models.All[0].Scheduler is { Running: 0, Waiting: 0 } && model.OpenSequences == 0, "slots were lost");
        Assert.Equal(5, (int)(await server.PostAsync("v1/completions", """{"prompt":"x","max_tokens":5,"ignore_eos":true}""")).Body["usage"]!["completion_tokens"]!);
    }

    [Fact]
    public async Task Stopping_lets_running_requests_finish_and_takes_no_new_ones()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(5);
        await using var server = await TestServer.StartAsync(model);
        var running = server.PostAsync("v1/completions", """{"prompt":"x","max_tokens":100,"ignore_eos":true}""");
        await TestServer.UntilAsync(() => server.Models.All[0].Scheduler.Running == 1, "the request did not start");
        await server.StopAsync();
        Assert.Equal(100, (int)(await running).Body["usage"]!["completion_tokens"]!);
    }

    [Fact]
    public async Task What_has_not_finished_in_time_is_ended_cleanly()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(20);
        await using var server = await TestServer.StartAsync(model, options => options with { ShutdownSeconds = 0 });
        var stream = ReadAsync(server, """{"prompt":"x","max_tokens":900,"ignore_eos":true,"stream":true}""");
        var whole = server.PostAsync("v1/completions", """{"prompt":"x","max_tokens":900,"ignore_eos":true}""");
        await TestServer.UntilAsync(() => server.Models.All[0].Scheduler.Running == 2, "the requests did not start");
        await Task.Delay(100, TestServer.Cancel);
        await server.StopAsync();
        Assert.Equal(System.Net.HttpStatusCode.ServiceUnavailable, (await whole).Status);
        Assert.Contains("\"code\":\"server_stopping\"", await stream);
        Assert.Equal(0, model.OpenSequences);
    }

    // All that came before the connection broke.
    private static async Task<string> ReadAsync(TestServer server, string body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/completions") { Content = TestServer.Json(body) };
        using var response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestServer.Cancel);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(TestServer.Cancel));
        var text = new System.Text.StringBuilder();
        try
        {
            while (await reader.ReadLineAsync(TestServer.Cancel) is { } line)
            {
                text.AppendLine(line);
            }
        }
        catch (IOException)
        {
            text.AppendLine("broken");
        }

        Assert.EndsWith("broken" + Environment.NewLine, text.ToString());
        return text.ToString();
    }
}
