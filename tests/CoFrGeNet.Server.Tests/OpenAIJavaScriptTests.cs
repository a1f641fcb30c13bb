using System.Diagnostics;
using System.Text.Json.Nodes;

namespace CoFrGeNet.Server.Tests;

/// <summary>
/// The official JavaScript client under node, unmodified, against the server. <c>.ci/run</c> installs both; by hand: <c>npm ci</c> in the folder js of this project.
/// </summary>
public class OpenAIJavaScriptTests
{
    [Fact]
    public async Task Completions_have_every_member_that_the_client_reads()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        var seen = await RunAsync(server, "completion");
        Assert.Equal("[0,1]", seen["indices"]!.ToJsonString());
        Assert.StartsWith("ab", (string)seen["texts"]![0]!);
        Assert.StartsWith("cd", (string)seen["texts"]![1]!);
        Assert.Null(seen["first"]);
        Assert.Equal(6, (int)seen["count"]!);
        Assert.Equal("""{"prompt_tokens":4,"completion_tokens":8,"total_tokens":12}""", seen["usage"]!.ToJsonString());
    }

    [Fact]
    public async Task A_stream_gives_the_same_text_as_a_whole_answer()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        var seen = await RunAsync(server, "stream");
        Assert.Equal((string)seen["whole"]!, (string)seen["text"]!);
        Assert.Equal("length", (string)seen["reason"]!);
        Assert.Equal(8, (int)seen["usage"]!["completion_tokens"]!);
    }

    [Fact]
    public async Task Chats_come_whole_and_streamed()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        var seen = await RunAsync(server, "chat");
        Assert.Equal((string)seen["text"]!, (string)seen["streamed"]!);
        Assert.Equal(6, (int)seen["tokens"]!);
        Assert.Equal("length", (string)seen["reason"]!);
    }

    [Fact]
    public async Task Errors_keep_status_code_type_and_request_id()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        var seen = await RunAsync(server, "error");
        Assert.Equal("NotFoundError", (string)seen["name"]!);
        Assert.Equal(404, (int)seen["status"]!);
        Assert.Equal("model_not_found", (string)seen["code"]!);
        Assert.Equal("invalid_request_error", (string)seen["type"]!);
        Assert.Equal("model", (string)seen["param"]!);
        Assert.StartsWith("req-", (string)seen["id"]!);
    }

    [Fact]
    public async Task An_error_in_mid_stream_is_raised()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(5);
        await using var server = await TestServer.StartAsync(model);
        var seen = await RunAsync(server, "broken", () => model.Failure = new InvalidOperationException());
        Assert.InRange((int)seen["chunks"]!, 1, 899);
        Assert.Contains("The server made a mistake", (string)seen["message"]!);
    }

    [Fact]
    public async Task A_full_queue_is_tried_again_until_there_is_room()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(5);
        await using var server = await TestServer.StartAsync(model, options => options with { Slots = 1, QueueLimit = 1 });
        await using var crowd = await QueueCrowd.FillAsync(server);
        var seen = await RunAsync(server, "retry", crowd.Leave);
        var statuses = seen["statuses"]!.AsArray().Select(status => (int)status!).ToArray();
        Assert.InRange(statuses.Length, 2, 3);
        Assert.All(statuses[..^1], status => Assert.Equal(429, status));
        Assert.Equal(200, statuses[^1]);
        Assert.Equal(3, (int)seen["tokens"]!);
    }

    [Fact]
    public async Task Cancelling_frees_the_slot()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(5);
        await using var server = await TestServer.StartAsync(model);
        // The client hands out what it has received already before it ends; that it ends long before the 900 is what counts.
        Assert.InRange((int)(await RunAsync(server, "cancel"))["chunks"]!, 3, 450);
        await TestServer.UntilAsync(() => model.OpenSequences == 0, "the slot was not given back");
    }

    // Runs the script; the dots that it prints before its answer are reported as they come.
    private static async Task<JsonNode> RunAsync(TestServer server, string what, Action? onFirstDot = null)
    {
        var folder = Folder();
        var start = new ProcessStartInfo("node", ["client.mjs", new Uri(server.Address, "v1").ToString(), what]) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Start(start);
        var errors = process.StandardError.ReadToEndAsync(TestServer.Cancel);
        var output = new System.Text.StringBuilder();
        var buffer = new char[256];
        for (var count = await process.StandardOutput.ReadAsync(buffer, TestServer.Cancel); count > 0; count = await process.StandardOutput.ReadAsync(buffer, TestServer.Cancel))
        {
            output.Append(buffer, 0, count);
            onFirstDot?.Invoke();
        }

        await process.WaitForExitAsync(TestServer.Cancel);
        Assert.True(process.ExitCode == 0, await errors);
        return JsonNode.Parse(output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1])!;
    }

    private static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip("node is not installed; .ci/run installs it where it can");
            throw;
        }
    }

    // The folder in the source tree: node looks for packages beside the script.
    private static string Folder()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var script = Path.Combine(folder.FullName, "tests", "CoFrGeNet.Server.Tests", "js");
            if (Directory.Exists(script))
            {
                if (!Directory.Exists(Path.Combine(script, "node_modules", "openai")))
                {
                    Assert.Skip("the npm package openai is not installed; 'npm ci' in tests/CoFrGeNet.Server.Tests/js does it, and .ci/run where it can");
                }

                return script;
            }
        }

        Assert.Skip("the test does not run inside the repository");
        return string.Empty;
    }
}
