using System.Net;
using CoFrGeNet.Client;

namespace CoFrGeNet.Server.Tests;

/// <summary>The typed client against the server.</summary>
public class CompletionsClientTests
{
    [Fact]
    public async Task Completions_come_whole_and_streamed_with_log_probabilities()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        var client = new CompletionsClient(server.Http);
        var request = new CompletionRequest
        {
            Model = "fake",
            Prompt = PromptInput.OfTokens([[97, 98], [99]]),
            MaxTokens = 12,
            Seed = 3,
            Logprobs = 2,
            Echo = true,
            Stop = ["zzz"],
            LogitBias = new Dictionary<string, double> { ["101"] = 2 },
        };
        var whole = await client.CompleteAsync(request, TestServer.Cancel);
        Assert.Equal([0, 1], whole.Choices.Select(choice => choice.Index));
        Assert.StartsWith("ab", whole.Choices[0].Text);
        Assert.Null(whole.Choices[0].Logprobs!.TokenLogprobs[0]);
        Assert.All(whole.Choices[0].Logprobs!.TopLogprobs.Skip(1), map => Assert.InRange(map!.Count, 2, 3));
        var texts = new string[2];
        var logprobs = new List<double?>[] { [], [] };
        Usage? usage = null;
        await foreach (var chunk in client.StreamAsync(request with { StreamOptions = new StreamOptions { IncludeUsage = true } }, TestServer.Cancel))
        {
            foreach (var choice in chunk.Choices)
            {
                texts[choice.Index] += choice.Text;
                logprobs[choice.Index].AddRange(choice.Logprobs?.TokenLogprobs ?? []);
            }

            usage = chunk.Usage ?? usage;
        }

        Assert.Equal(whole.Choices.Select(choice => choice.Text), texts);
        Assert.Equal(whole.Choices[1].Logprobs!.TokenLogprobs, logprobs[1]);
        Assert.Equal(whole.Usage, usage);
    }

    [Fact]
    public async Task Errors_carry_what_the_server_said()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling(), options => options with { ApiKeys = ["the-right-key"] });
        var refused = await Assert.ThrowsAsync<ServerErrorException>(() => new CompletionsClient(server.Http).ListModelsAsync(TestServer.Cancel));
        Assert.Equal((HttpStatusCode.Unauthorized, "invalid_api_key"), (refused.Status, refused.Error.Code));
        var client = new CompletionsClient(server.Http, "the-right-key");
        Assert.Equal("fake", (await client.ListModelsAsync(TestServer.Cancel)).Data.Single().Id);
        var missing = await Assert.ThrowsAsync<ServerErrorException>(() => client.CompleteAsync(new CompletionRequest { Model = "other", Prompt = PromptInput.Of("x") }, TestServer.Cancel));
        Assert.Equal("model_not_found", missing.Error.Code);
    }

    [Fact]
    public async Task A_broken_stream_throws_and_a_left_one_frees_its_slot()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(3);
        await using var server = await TestServer.StartAsync(model);
        var client = new CompletionsClient(server.Http);
        var request = new CompletionRequest { Prompt = PromptInput.Of("x"), MaxTokens = 900, IgnoreEos = true };
        await foreach (var _ in client.StreamAsync(request, TestServer.Cancel))
        {
            break;
        }

        await TestServer.UntilAsync(() => model.OpenSequences == 0, "the slot was not given back");
        var error = await Assert.ThrowsAsync<ServerErrorException>(async () =>
        {
            await foreach (var _ in client.StreamAsync(request, TestServer.Cancel))
            {
                model.Failure = new InvalidOperationException();
            }
        });
        Assert.Equal("internal_error", error.Error.Code);
    }

    [Fact]
    public async Task Texts_become_tokens_and_back()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        var client = new CompletionsClient(server.Http);
        var tokens = await client.TokenizeAsync(new TokenizeRequest { Prompt = "né" }, TestServer.Cancel);
        Assert.Equal([110, 195, 169], tokens.Tokens);
        Assert.Equal("né", (await client.DetokenizeAsync(new DetokenizeRequest { Tokens = tokens.Tokens }, TestServer.Cancel)).Prompt);
    }
}
