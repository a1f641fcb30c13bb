using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace CoFrGeNet.Server.Tests;

/// <summary>A real server on a free port of this machine.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private TestServer(WebApplication app)
    {
        _app = app;
        Address = new Uri(app.Urls.Single());
        Http = new HttpClient { BaseAddress = Address };
    }

    public static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public Uri Address { get; }

    public HttpClient Http { get; }

    public ModelDirectory Models => _app.Services.GetRequiredService<ModelDirectory>();

    public static Task<TestServer> StartAsync(FakeModel model, Func<ServerOptions, ServerOptions>? change = null) => StartAsync([Served("fake", model)], change);

    public static async Task<TestServer> StartAsync(IReadOnlyList<ServedModel> models, Func<ServerOptions, ServerOptions>? change = null)
    {
        var options = new ServerOptions { Port = 0, AccessLog = false };
        var app = ServerHost.Create((change?.Invoke(options) ?? options).Validate(new Configuration.ConfigCheck("server")), models);
        await app.StartAsync(Cancel);
        return new TestServer(app);
    }

    public static ServedModel Served(string name, Generation.ILanguageModel model) => new() { Name = name, Model = model, Tokenizer = ByteTokenizer.Instance, Parameters = 42 };

    /// <summary>Sends a body and gives status and answer.</summary>
    public async Task<(HttpStatusCode Status, JsonNode Body, HttpResponseMessage Response)> PostAsync(string path, string body)
    {
        var response = await Http.PostAsync(new Uri(path, UriKind.Relative), Json(body), Cancel);
        return (response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancel))!, response);
    }

    /// <summary>Sends a body and gives the whole stream as it is on the wire.</summary>
    public async Task<string> PostStreamAsync(string path, string body)
    {
        using var response = await Http.PostAsync(new Uri(path, UriKind.Relative), Json(body), Cancel);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        return await response.Content.ReadAsStringAsync(Cancel);
    }

    /// <summary>A document as the server writes it.</summary>
    public static string Literal(JsonNode node) => node.ToJsonString(new JsonSerializerOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    public static StringContent Json(string body) => new(body, Encoding.UTF8, new MediaTypeHeaderValue("application/json"));

    public Task StopAsync() => _app.StopAsync(CancellationToken.None);

    /// <summary>Waits until a condition holds; fails after ten seconds.</summary>
    public static async Task UntilAsync(Func<bool> holds, string what)
    {
        for (var i = 0; !holds(); i++)
        {
            Assert.True(i < 1000, what);
            await Task.Delay(10, Cancel);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _app.DisposeAsync();
    }
}
