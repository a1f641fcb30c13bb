using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace CoFrGeNet.Server.Tests;

/// <summary>Clients that mean no good, or cannot help it. Afterwards the server answers and no slot is lost.</summary>
public class FaultTests
{
    private static readonly string[] Valid =
    [
        """{"model":"fake","prompt":"hello","max_tokens":3,"temperature":0.5,"stop":["a","b"],"logit_bias":{"5":1},"logprobs":2,"echo":true,"n":2}""",
        """{"model":"fake","prompt":[[1,2],[3,4]],"max_tokens":2,"stream":true,"stream_options":{"include_usage":true},"seed":-5,"top_k":3,"min_p":0.1}""",
        """{"model":"fake","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"text","text":"x"}]}],"max_tokens":2,"logprobs":true,"top_logprobs":2}""",
    ];

    private static readonly string[] Spice = ["null", "-1", "1e999", "99999999999999999999", "\"\"", "[]", "{}", "[[]]", "true", "\"\\ud800\"", "NaN", "[[[[[[[[", "\u0000", "\"", "0.5", "-0", "1000000000"];

    [Fact]
    public Task Malformed_bodies_are_4xx() => FuzzAsync(400);

    [Fact(Explicit = true)]
    public Task Ten_thousand_malformed_bodies_are_4xx() => FuzzAsync(10000);

    [Fact]
    public async Task Wrong_keys_are_401_whatever_they_hold()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling(), options => options with { ApiKeys = ["the-right-key"] });
        var random = new Random(3);
        for (var i = 0; i < 100; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "v1/models");
            var key = new string([.. Enumerable.Range(0, random.Next(1, 3000)).Select(_ => (char)random.Next(33, 127))]);
            request.Headers.TryAddWithoutValidation("Authorization", i % 3 == 0 ? key : "Bearer " + key);
            using var response = await server.Http.SendAsync(request, TestServer.Cancel);
            Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        }
    }

    [Fact]
    public async Task Slow_senders_are_cut_off_while_others_are_served()
    {
        var model = FakeModel.Babbling();
        await using var server = await TestServer.StartAsync(model, options => options with { ReceiveSeconds = 2 });
        var lorises = Enumerable.Range(0, 40).Select(i => DripAsync(server, i % 2 == 0 ? "GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " : "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000\r\n\r\n{\"prompt\":\"")).ToArray();
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(HttpStatusCode.OK, (await server.PostAsync("v1/completions", """{"prompt":"x","max_tokens":5}""")).Status);
        }

        var answers = await Task.WhenAll(lorises);
        Assert.All(answers, answer => Assert.True(answer.Length == 0 || answer.StartsWith("HTTP/1.1 408", StringComparison.Ordinal), answer));
        Assert.Equal(0, model.OpenSequences);
    }

    [Fact]
    public async Task A_reader_that_stops_reading_does_not_hold_up_others()
    {
        var model = FakeModel.Babbling(100_000);
        await using var server = await TestServer.StartAsync(model);
        using var socket = new TcpClient { ReceiveBufferSize = 1024 };
        await socket.ConnectAsync(server.Address.Host, server.Address.Port, TestServer.Cancel);
        var body = """{"prompt":"x","max_tokens":3000,"ignore_eos":true,"stream":true,"logprobs":5}""";
        await socket.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {body.Length}\r\n\r\n{body}"), TestServer.Cancel);
        await TestServer.UntilAsync(() => server.Models.All[0].Scheduler.Running == 1, "the stream did not start");
        // Its events wait in memory; the sequence itself runs to its end and gives the slot back.
        Assert.Equal(HttpStatusCode.OK, (await server.PostAsync("v1/completions", """{"prompt":"x","max_tokens":50}""")).Status);
        await TestServer.UntilAsync(() => model.OpenSequences == 0, "the slot was not given back");
    }

    [Fact]
    public async Task Stopping_under_load_ends_every_stream_cleanly()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(3);
        await using var server = await TestServer.StartAsync(model, options => options with { Slots = 16, ShutdownSeconds = 1 });
        var streams = Enumerable.Range(0, 32).Select(i => ReadAsync(server, $$"""{"prompt":"x","max_tokens":{{(i % 4 == 0 ? 20 : 900)}},"ignore_eos":true,"stream":true}""")).ToArray();
        await TestServer.UntilAsync(() => server.Models.All[0].Scheduler.Running == 16, "the streams did not start");
        var clock = Stopwatch.StartNew();
        await server.StopAsync();
        var ends = await Task.WhenAll(streams);
        Assert.InRange(clock.Elapsed.TotalSeconds, 0, 15);
        Assert.All(ends, end => Assert.True(end is "done" or "told" or "refused", end));
        Assert.Contains("done", ends);
        Assert.Contains("told", ends);
        Assert.Equal(0, model.OpenSequences);
    }

    private static async Task FuzzAsync(int count)
    {
        var model = FakeModel.Babbling();
        await using var server = await TestServer.StartAsync(model, options => options with { MaxBodyBytes = 4000 });
        var random = new Random(7);
        var seen = new Dictionary<HttpStatusCode, int>();
        for (var i = 0; i < count; i++)
        {
            var path = random.Next(5) switch { 0 => "v1/chat/completions", 1 => "tokenize", 2 => "detokenize", _ => "v1/completions" };
            using var content = new ByteArrayContent(Body(random));
            using var response = await server.Http.PostAsync(new Uri(path, UriKind.Relative), content, TestServer.Cancel);
            var text = await response.Content.ReadAsStringAsync(TestServer.Cancel);
            Assert.True(response.StatusCode == HttpStatusCode.OK || ((int)response.StatusCode is >= 400 and < 500 && text.StartsWith("{\"error\":{\"message\":\"", StringComparison.Ordinal)), $"{i}: {response.StatusCode} {text}");
            seen[response.StatusCode] = seen.GetValueOrDefault(response.StatusCode) + 1;
        }

        Assert.True(seen[HttpStatusCode.BadRequest] > count / 2, string.Join(", ", seen));
        await TestServer.UntilAsync(() => model.OpenSequences == 0 && server.Models.All[0].Scheduler is { Running: 0, Waiting: 0 }, "slots were lost");
        Assert.Equal(HttpStatusCode.OK, (await server.PostAsync("v1/completions", Valid[0])).Status);
    }

    private static byte[] Body(Random random)
    {
        var valid = Valid[random.Next(Valid.Length)];
        switch (random.Next(6))
        {
            case 0:
                var noise = new byte[random.Next(300)];
                random.NextBytes(noise);
                return noise;
            case 1:
                return Encoding.UTF8.GetBytes(valid[..random.Next(valid.Length)]);
            case 2:
                return Encoding.UTF8.GetBytes(valid.Replace("\"hello\"", '"' + new string('x', random.Next(3000, 6000)) + '"'));
            default:
                var bytes = Encoding.UTF8.GetBytes(valid).ToList();
                for (var i = random.Next(1, 4); i > 0; i--)
                {
                    var at = random.Next(bytes.Count);
                    // A value in place of another, or a byte.
                    if (random.Next(3) > 0)
                    {
                        bytes.RemoveRange(at, Math.Min(random.Next(6), bytes.Count - at));
                        bytes.InsertRange(at, Encoding.UTF8.GetBytes(Spice[random.Next(Spice.Length)]));
                    }
                    else
                    {
                        bytes[at] = (byte)random.Next(256);
                    }
                }

                return [.. bytes];
        }
    }

    // Sends one byte now and then until the server has had enough; gives what it answered.
    private static async Task<string> DripAsync(TestServer server, string start)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(server.Address.Host, server.Address.Port, TestServer.Cancel);
        var stream = socket.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(start), TestServer.Cancel);
        var answer = ReadToEndAsync(stream);
        for (var i = 0; i < 150 && !answer.IsCompleted; i++)
        {
            try
            {
                await stream.WriteAsync(new byte[] { (byte)'x' }, TestServer.Cancel);
            }
            catch (IOException)
            {
                break;
            }

            await Task.Delay(100, TestServer.Cancel);
        }

        Assert.True(answer.IsCompleted || await Task.WhenAny(answer, Task.Delay(2000, TestServer.Cancel)) == answer, "a slow sender was not cut off");
        return await answer;
    }

    private static async Task<string> ReadToEndAsync(NetworkStream stream)
    {
        var text = new StringBuilder();
        var buffer = new byte[1024];
        try
        {
            for (var count = await stream.ReadAsync(buffer, TestServer.Cancel); count > 0; count = await stream.ReadAsync(buffer, TestServer.Cancel))
            {
                text.Append(Encoding.ASCII.GetString(buffer, 0, count));
            }
        }
        catch (IOException)
        {
            // Cut off without a word.
        }

        return text.ToString();
    }

    // How a stream ended.
    private static async Task<string> ReadAsync(TestServer server, string body)
    {
        var text = new StringBuilder();
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "v1/completions") { Content = TestServer.Json(body) };
            using var response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestServer.Cancel);
            if (response.StatusCode == HttpStatusCode.ServiceUnavailable)
            {
                return "refused";
            }

            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(TestServer.Cancel));
            while (await reader.ReadLineAsync(TestServer.Cancel) is { } line)
            {
                text.AppendLine(line);
            }
        }
        catch (IOException)
        {
            // The connection is broken after an error on purpose.
        }
        catch (HttpRequestException)
        {
            return "refused";
        }

        var all = text.ToString();
        return all.Contains("[DONE]", StringComparison.Ordinal) ? "done" : all.Contains("server_stopping", StringComparison.Ordinal) ? "told" : "lost: " + all[Math.Max(0, all.Length - 200)..];
    }
}
