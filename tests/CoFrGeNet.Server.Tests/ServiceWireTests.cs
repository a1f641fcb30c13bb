using System.Net;
using System.Net.Http.Headers;

namespace CoFrGeNet.Server.Tests;

/// <summary>What stands beside completions: models, tokenizer, health, metrics, keys, and what browsers may do.</summary>
public class ServiceWireTests
{
    [Fact]
    public async Task Models_are_listed_and_described()
    {
        await using var server = await TestServer.StartAsync([TestServer.Served("a", FakeModel.Babbling(64)), TestServer.Served("b", FakeModel.Babbling())]);
        var list = System.Text.Json.Nodes.JsonNode.Parse(await GetAsync(server, "v1/models"))!;
        Assert.Equal("list", (string)list["object"]!);
        list["data"]![0]!["created"] = 0;
        Assert.Equal("""{"id":"a","object":"model","created":0,"owned_by":"cofrgenet","max_model_len":64,"parameters":42,"ladders":false}""", list["data"]![0]!.ToJsonString());
        Assert.Contains("\"id\":\"b\"", await GetAsync(server, "v1/models/b"));
        Assert.Equal(HttpStatusCode.NotFound, (await server.Http.GetAsync(new Uri("v1/models/c", UriKind.Relative), TestServer.Cancel)).StatusCode);
        var (status, body, _) = await server.PostAsync("v1/completions", """{"prompt":"x"}""");
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal("The member 'model' is missing; allowed are a, b.", (string)body["error"]!["message"]!);
        Assert.Equal(HttpStatusCode.OK, (await server.PostAsync("v1/completions", """{"model":"b","prompt":"x"}""")).Status);
    }

    [Fact]
    public async Task The_tokenizers_addresses_are_those_that_the_harness_reads()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling(64));
        Assert.Equal("""{"tokens":[104,105,256],"count":3,"max_model_len":64}""", (await server.PostAsync("tokenize", """{"prompt":"hi<|endoftext|>","add_special_tokens":false}""")).Body.ToJsonString());
        Assert.Equal("""{"prompt":"hi<|endoftext|>"}""", TestServer.Literal((await server.PostAsync("detokenize", """{"tokens":[104,105,256]}""")).Body));
        Assert.Equal(HttpStatusCode.BadRequest, (await server.PostAsync("detokenize", """{"tokens":[257]}""")).Status);
        Assert.Equal(
            """{"tokenizer_class":"byte","vocab_size":257,"model_max_length":64,"eos_token":"<|endoftext|>","bos_token":"<|endoftext|>","pad_token":"<|endoftext|>","chat_template":null}""",
            await GetAsync(server, "tokenizer_info"));
    }

    [Fact]
    public async Task Health_and_metrics_tell_what_happened()
    {
        // Meters of one name are one in a process, so the model's name tells this test's figures from others'.
        await using var server = await TestServer.StartAsync([TestServer.Served("measured", FakeModel.Saying("abc", 1))]);
        await server.PostAsync("v1/completions", """{"prompt":"x","temperature":0}""");
        Assert.Equal("""{"status":"ok"}""", await GetAsync(server, "health"));
        var metrics = await GetAsync(server, "metrics");
        void Holds(string name, int value) => Assert.Matches($$"""(?m)^cofrgenet_{{name}}\{[^}]*model_name="measured"[^}]*\} {{value}}( |$)""", metrics);
        Holds("prompt_tokens_total", 1);
        Holds("generation_tokens_total", 4);
        Holds("request_success_total", 1);
        Holds("num_requests_running", 0);
        Holds("num_requests_waiting", 0);
        Holds("time_to_first_token_seconds_count", 1);
        Holds("inter_token_latency_seconds_count", 3);
        Holds("e2e_request_latency_seconds_count", 1);
        Assert.Contains("finished_reason=\"stop\"", metrics);
    }

    [Fact]
    public async Task The_openapi_document_names_addresses_and_members()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        var document = await GetAsync(server, "openapi.json");
        Assert.Contains("\"/v1/completions\"", document);
        Assert.Contains("\"max_tokens\"", document);
        Assert.Contains("\"stream_options\"", document);
        var request = System.Text.Json.Nodes.JsonNode.Parse(document)!["components"]!["schemas"]!["CompletionRequest"]!["properties"]!;
        // Numbers are numbers, as the server takes them, and a prompt has four forms.
        Assert.DoesNotContain("string", request["max_tokens"]!.ToJsonString());
        Assert.Equal(4, System.Text.Json.Nodes.JsonNode.Parse(document)!["components"]!["schemas"]!["PromptInput"]!["anyOf"]!.AsArray().Count);
        Assert.Equal("CoFrGeNet", (string)System.Text.Json.Nodes.JsonNode.Parse(document)!["info"]!["title"]!);
    }

    [Fact]
    public async Task Keys_are_asked_for_everywhere_but_at_the_page_and_health()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling(), options => options with { ApiKeys = ["first-key", "second-key"] });
        async Task<HttpStatusCode> Get(string path, string? key)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            request.Headers.Authorization = key is null ? null : new AuthenticationHeaderValue("Bearer", key);
            using var response = await server.Http.SendAsync(request, TestServer.Cancel);
            return response.StatusCode;
        }

        foreach (var path in new[] { "v1/models", "tokenizer_info", "metrics", "nowhere" })
        {
            Assert.Equal(HttpStatusCode.Unauthorized, await Get(path, null));
            Assert.Equal(HttpStatusCode.Unauthorized, await Get(path, "first-kez"));
            Assert.Equal(HttpStatusCode.Unauthorized, await Get(path, ""));
        }

        Assert.Equal(HttpStatusCode.OK, await Get("v1/models", "first-key"));
        Assert.Equal(HttpStatusCode.OK, await Get("v1/models", "second-key"));
        Assert.Equal(HttpStatusCode.OK, await Get("health", null));
        Assert.Equal(HttpStatusCode.OK, await Get("v1/health", null));
        Assert.Equal(HttpStatusCode.OK, await Get("openapi.json", null));
        Assert.Equal(HttpStatusCode.OK, await Get("", null));
        var (_, body, _) = await server.PostAsync("v1/completions", "{}");
        Assert.Equal(
            """{"error":{"message":"The API key is missing or not known; send it as 'Authorization: Bearer KEY'.","type":"authentication_error","param":null,"code":"invalid_api_key"}}""",
            TestServer.Literal(body));
    }

    [Fact]
    public async Task Without_keys_any_key_is_accepted()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        foreach (var header in new[] { "Bearer", "Bearer anything", "nonsense" })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "v1/models");
            request.Headers.TryAddWithoutValidation("Authorization", header);
            using var response = await server.Http.SendAsync(request, TestServer.Cancel);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
    }

    [Theory]
    [InlineData("http://evil.example", null, HttpStatusCode.Forbidden)]
    [InlineData("null", null, HttpStatusCode.Forbidden)]
    [InlineData("https://good.example", null, HttpStatusCode.OK)]
    [InlineData(null, "evil.example", HttpStatusCode.Forbidden)]
    [InlineData(null, "localhost", HttpStatusCode.OK)]
    [InlineData(null, "llm.example.org", HttpStatusCode.OK)]
    [InlineData("https://llm.example.org", "llm.example.org", HttpStatusCode.OK)]
    [InlineData("https://evil.example", "llm.example.org", HttpStatusCode.Forbidden)]
    public async Task Foreign_pages_and_foreign_names_are_refused(string? origin, string? host, HttpStatusCode expected)
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling(), options => options with { CorsOrigins = ["https://good.example"], PublicNames = ["llm.example.org"] });
        using var request = new HttpRequestMessage(HttpMethod.Get, "v1/models");
        request.Headers.Host = host;
        if (origin is not null)
        {
            request.Headers.Add("Origin", origin);
        }

        using var response = await server.Http.SendAsync(request, TestServer.Cancel);
        Assert.Equal(expected, response.StatusCode);
        Assert.Equal(origin == "https://good.example" ? [origin] : [], response.Headers.TryGetValues("Access-Control-Allow-Origin", out var allowed) ? allowed : []);
    }

    [Fact]
    public async Task A_page_of_an_allowed_origin_can_read_a_refusal_and_its_id()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling(), options => options with { CorsOrigins = ["https://good.example"], ApiKeys = ["the-right-key"] });
        using var request = new HttpRequestMessage(HttpMethod.Get, "v1/models");
        request.Headers.Add("Origin", "https://good.example");
        using var response = await server.Http.SendAsync(request, TestServer.Cancel);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Equal("https://good.example", response.Headers.GetValues("Access-Control-Allow-Origin").Single());
        Assert.Contains("x-request-id", response.Headers.GetValues("Access-Control-Expose-Headers").Single());
    }

    [Theory]
    [InlineData("health")]
    [InlineData("v1/models")]
    [InlineData("")]
    public async Task Load_balancers_may_ask_with_HEAD(string path)
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        using var request = new HttpRequestMessage(HttpMethod.Head, path);
        using var response = await server.Http.SendAsync(request, TestServer.Cancel);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Empty(await response.Content.ReadAsByteArrayAsync(TestServer.Cancel));
    }

    [Theory]
    [InlineData("v1/models/org/name")]
    [InlineData("v1/models/org%2Fname")]
    public async Task A_models_name_may_have_a_slash(string path)
    {
        await using var server = await TestServer.StartAsync([TestServer.Served("org/name", FakeModel.Babbling())]);
        Assert.Contains("\"id\":\"org/name\"", await GetAsync(server, path));
    }

    [Fact]
    public async Task The_page_has_strict_headers_and_its_files_are_a_closed_list()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        using var page = await server.Http.GetAsync(new Uri("", UriKind.Relative), TestServer.Cancel);
        Assert.Equal("text/html", page.Content.Headers.ContentType!.MediaType);
        Assert.Equal("nosniff", page.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.StartsWith("default-src 'self'", page.Headers.GetValues("Content-Security-Policy").Single());
        Assert.DoesNotContain("://", (await page.Content.ReadAsStringAsync(TestServer.Cancel)).Replace("http://www.w3.org", string.Empty));
        Assert.Contains("complete", await GetAsync(server, "page/api.js"));
        foreach (var path in new[] { "page/../ServerOptions.cs", "page/..%2f..%2fetc%2fpasswd", "page/%2fetc%2fpasswd", "page/index.html%00.js" })
        {
            using var response = await server.Http.GetAsync(new Uri(path, UriKind.Relative), TestServer.Cancel);
            Assert.True(response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.BadRequest, $"{path}: {response.StatusCode}");
        }
    }

    [Theory]
    [InlineData("0.0.0.0", false, "0.0.0.0 can be reached by others")]
    [InlineData("example.org", true, "host is 'example.org'; allowed is localhost or an IP address")]
    public void A_public_address_needs_a_key_or_force(string host, bool allow, string message)
    {
        var options = new ServerOptions { Host = host, AllowPublic = allow };
        Assert.Contains(message, Assert.Throws<UserErrorException>(() => options.Validate(new Configuration.ConfigCheck(name => name))).Message);
        Assert.Same("127.0.0.1", (new ServerOptions().Validate(new Configuration.ConfigCheck("server"))).Host);
        (options with { Host = "0.0.0.0", AllowPublic = true }).Validate(new Configuration.ConfigCheck("server"));
        (options with { Host = "0.0.0.0", AllowPublic = false, ApiKeys = ["a-long-key"] }).Validate(new Configuration.ConfigCheck("server"));
    }

    private static Task<string> GetAsync(TestServer server, string path) => server.Http.GetStringAsync(new Uri(path, UriKind.Relative), TestServer.Cancel);
}
