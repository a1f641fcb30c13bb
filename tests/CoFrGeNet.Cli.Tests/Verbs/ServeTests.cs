using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace CoFrGeNet.Cli.Tests.Verbs;

public class ServeTests
{
    [Theory]
    [InlineData("There is no model to serve; give one with --model DIR")]
    [InlineData("There is no folder nowhere", "--model", "nowhere")]
    [InlineData("0.0.0.0 can be reached by others, and there is no API key", "--model", "nowhere", "--host", "0.0.0.0")]
    [InlineData("--slots is 0; allowed is 1 or more", "--model", "nowhere", "--slots", "0")]
    [InlineData("--api-key-file nofile cannot be read", "--model", "nowhere", "--api-key-file", "nofile")]
    [InlineData("--cors-origin is 'example.org'; allowed is a scheme", "--model", "nowhere", "--cors-origin", "example.org")]
    public void Mistakes_are_told_before_anything_is_loaded(string message, params string[] arguments)
    {
        var run = ToolRun.Of(["serve", .. arguments]);
        Assert.Equal(2, run.Code);
        Assert.StartsWith(message, Assert.Single(run.ErrorLines));
    }

    [Fact]
    public async Task A_trained_model_is_served_until_a_signal_comes_and_variables_set_options()
    {
        using var runs = new TinyRuns();
        ToolRun.Of(runs.Train("tiny-fu", "run")).Succeeded();
        var port = FreePort();
        using var tool = ToolProcess.Start(("COFRGENET_PORT", $"{port}"), "serve", "--model", runs.File("run/final"), "--max-tokens", "3", "--json");
        await tool.WaitForError($"run at http://127.0.0.1:{port}");
        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        async Task<string> Ask(int tokens)
        {
            using var content = new StringContent($$"""{"model":"run","prompt":"Line","max_tokens":{{tokens}},"ignore_eos":true,"seed":1}""", Encoding.UTF8, "application/json");
            using var response = await http.PostAsync(new Uri("/v1/completions", UriKind.Relative), content, TestContext.Current.CancellationToken);
            return await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        }

        Assert.Contains("\"completion_tokens\":3", await Ask(3));
        Assert.Contains("max_tokens is 4; allowed is 0 to 3.", await Ask(4));
        tool.Signal(PosixSignal.SIGTERM);
        var (code, output, error) = tool.WaitForExit();
        Assert.Equal(0, code);
        Assert.Contains($"\"address\": \"http://127.0.0.1:{port}\"", output);
        Assert.Contains("POST /v1/completions 200", error);
    }

    [Fact]
    public void A_variable_out_of_form_is_named()
    {
        using var tool = ToolProcess.Start(("COFRGENET_SLOTS", "many"), "serve", "--model", "nowhere");
        var (code, _, error) = tool.WaitForExit();
        Assert.Equal(2, code);
        Assert.Contains("COFRGENET_SLOTS is 'many'; allowed is a number.", error);
    }

    [Theory]
    [InlineData("COFRGENET_API_KEY", " ", "COFRGENET_API_KEY is set and empty; give it a key, or unset it.")]
    [InlineData("COFRGENET_API_KEY", "#short", "COFRGENET_API_KEY or a line of --api-key-file is a key that is too short")]
    public void A_key_that_is_none_does_not_open_the_server(string variable, string value, string message)
    {
        using var tool = ToolProcess.Start((variable, value), "serve", "--model", "nowhere");
        var (code, _, error) = tool.WaitForExit();
        Assert.Equal(2, code);
        Assert.Contains(message, error);
    }

    [Theory]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "foo", "OTEL_EXPORTER_OTLP_ENDPOINT is 'foo'; allowed is an address")]
    [InlineData("COFRGENET_HOST", "127.0.0.1", "cannot be listened on")]
    public void What_keeps_a_server_from_starting_is_one_line(string variable, string value, string message)
    {
        using var runs = new TinyRuns();
        ToolRun.Of(runs.Train("tiny-fu", "run")).Succeeded();
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var tool = ToolProcess.Start((variable, value), "serve", "--model", runs.File("run/final"), "--port", $"{((IPEndPoint)listener.LocalEndpoint).Port}");
        var (code, _, error) = tool.WaitForExit();
        Assert.Equal(2, code);
        Assert.Contains(message, Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries)));
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
