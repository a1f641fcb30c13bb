using System.ClientModel;
using System.ClientModel.Primitives;
using Microsoft.Extensions.AI;
using OpenAI;
using OpenAI.Chat;

namespace CoFrGeNet.Server.Tests;

/// <summary>The official .NET client and IChatClient over it, unmodified, against the server.</summary>
public class OpenAIDotNetTests
{
    // "User: hi\nAssistant:" as the plain template writes it.
    private const int PlainPrompt = 19;

    [Fact]
    public async Task A_plain_answer_with_log_probabilities_and_usage()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Saying(" Hello", PlainPrompt));
        ChatCompletion answer = await Client(server).CompleteChatAsync(
            [new UserChatMessage("hi")], new ChatCompletionOptions { Temperature = 0, IncludeLogProbabilities = true, TopLogProbabilityCount = 2 }, TestServer.Cancel);
        Assert.Equal("Hello", answer.Content[0].Text);
        Assert.Equal(OpenAI.Chat.ChatFinishReason.Stop, answer.FinishReason);
        Assert.Equal("fake", answer.Model);
        Assert.Equal([" ", "H", "e", "l", "l", "o", "<|endoftext|>"], answer.ContentTokenLogProbabilities.Select(token => token.Token));
        Assert.All(answer.ContentTokenLogProbabilities, token => Assert.Equal(2, token.TopLogProbabilities.Count));
        Assert.Equal((PlainPrompt, 7), (answer.Usage.InputTokenCount, answer.Usage.OutputTokenCount));
        Assert.InRange(answer.CreatedAt, DateTimeOffset.UtcNow.AddMinutes(-1), DateTimeOffset.UtcNow.AddMinutes(1));
    }

    [Fact]
    public async Task A_stream_with_usage_at_its_end()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Saying(" Hello you", PlainPrompt));
        var text = string.Empty;
        var updates = 0;
        OpenAI.Chat.ChatFinishReason? reason = null;
        ChatTokenUsage? usage = null;
        await foreach (var update in Client(server).CompleteChatStreamingAsync([new UserChatMessage("hi")], new ChatCompletionOptions { Temperature = 0, MaxOutputTokenCount = 6 }, TestServer.Cancel))
        {
            updates++;
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            reason = update.FinishReason ?? reason;
            usage = update.Usage ?? usage;
        }

        Assert.Equal("Hello", text);
        Assert.Equal(OpenAI.Chat.ChatFinishReason.Length, reason);
        Assert.Equal(6, usage!.OutputTokenCount);
        Assert.True(updates > 5, "the answer did not come in pieces");
    }

    [Fact]
    public async Task Errors_arrive_with_status_and_message_and_are_not_tried_again()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling(30), options => options with { ApiKeys = ["the-right-key"] });
        var denied = await Assert.ThrowsAsync<ClientResultException>(() => Client(server).CompleteChatAsync([new UserChatMessage("hi")], null, TestServer.Cancel));
        Assert.Equal(401, denied.Status);
        Assert.Contains("invalid_api_key", denied.Message);
        var missing = await Assert.ThrowsAsync<ClientResultException>(() => Client(server, "gpt-9", "the-right-key").CompleteChatAsync([new UserChatMessage("hi")], null, TestServer.Cancel));
        Assert.Equal(404, missing.Status);
        Assert.Contains("model_not_found", missing.Message);
        var tooLong = await Assert.ThrowsAsync<ClientResultException>(() => Client(server, key: "the-right-key").CompleteChatAsync([new UserChatMessage(new string('x', 40))], null, TestServer.Cancel));
        Assert.Contains("context_length_exceeded", tooLong.Message);
    }

    [Fact]
    public async Task A_full_queue_is_tried_again_until_there_is_room()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(5);
        await using var server = await TestServer.StartAsync(model, options => options with { Slots = 1, QueueLimit = 1 });
        await using var crowd = await QueueCrowd.FillAsync(server);
        // The client's two more tries come after the time that Retry-After names.
        var answer = Client(server).CompleteChatAsync([new UserChatMessage("hi")], new ChatCompletionOptions { MaxOutputTokenCount = 3 }, TestServer.Cancel);
        await Task.Delay(300, TestServer.Cancel);
        Assert.False(answer.IsCompleted, "the client gave up at once");
        crowd.Leave();
        Assert.Equal(3, (await answer).Value.Usage.OutputTokenCount);
    }

    [Fact]
    public async Task Cancelling_frees_the_slot()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(5);
        await using var server = await TestServer.StartAsync(model);
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var update in Client(server).CompleteChatStreamingAsync([new UserChatMessage("hi")], null, stop.Token))
            {
                await stop.CancelAsync();
            }
        });
        await TestServer.UntilAsync(() => model.OpenSequences == 0, "the slot was not given back");
    }

    [Fact]
    public async Task A_stream_that_fails_throws_instead_of_ending_quietly()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(5);
        await using var server = await TestServer.StartAsync(model);
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await foreach (var update in Client(server).CompleteChatStreamingAsync([new UserChatMessage("hi")], null, TestServer.Cancel))
            {
                model.Failure = new InvalidOperationException();
            }
        });
    }

    [Fact]
    public async Task IChatClient_works_over_http()
    {
        await using var server = await TestServer.StartAsync(FakeModel.Babbling());
        using var chat = Client(server).AsIChatClient();
        var options = new ChatOptions { Temperature = 1, TopP = 0.9f, Seed = 5, MaxOutputTokens = 20, StopSequences = ["zz"], FrequencyPenalty = 0.1f, PresencePenalty = 0.1f };
        List<Microsoft.Extensions.AI.ChatMessage> messages = [new(ChatRole.System, "Be brief."), new(ChatRole.User, "hi")];
        var whole = await chat.GetResponseAsync(messages, options, TestServer.Cancel);
        Assert.NotEmpty(whole.Text);
        Assert.Equal(20, whole.Usage!.OutputTokenCount);
        Assert.Equal(Microsoft.Extensions.AI.ChatFinishReason.Length, whole.FinishReason);
        var streamed = await chat.GetStreamingResponseAsync(messages, options, TestServer.Cancel).ToChatResponseAsync(TestServer.Cancel);
        Assert.Equal(whole.Text, streamed.Text);
        Assert.Equal(20, streamed.Usage!.OutputTokenCount);
    }

    [Fact]
    public async Task IChatClient_holds_under_load_and_cancellation()
    {
        var model = FakeModel.Babbling();
        model.PassTime = TimeSpan.FromMilliseconds(1);
        await using var server = await TestServer.StartAsync(model, options => options with { Slots = 8 });
        using var chat = Client(server).AsIChatClient();
        Task<ChatResponse> Ask(int seed, CancellationToken cancel) => chat.GetResponseAsync("hi", new ChatOptions { Seed = seed, MaxOutputTokens = 40 }, cancel);
        var alone = new List<string>();
        for (var seed = 0; seed < 12; seed++)
        {
            alone.Add((await Ask(seed, TestServer.Cancel)).Text);
        }

        using var leave = new CancellationTokenSource(TimeSpan.FromMilliseconds(30));
        var leaving = Enumerable.Range(0, 12).Select(seed => Ask(seed, leave.Token)).ToArray();
        var staying = await Task.WhenAll(Enumerable.Range(0, 12).Select(seed => Ask(seed, TestServer.Cancel)));
        Assert.Equal(alone, staying.Select(response => response.Text));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(leaving));
        await TestServer.UntilAsync(() => model.OpenSequences == 0, "slots were lost");
    }

    private static ChatClient Client(TestServer server, string model = "fake", string key = "no-key-needed") =>
        new(model, new ApiKeyCredential(key), new OpenAIClientOptions { Endpoint = new Uri(server.Address, "v1"), Transport = new HttpClientPipelineTransport(server.Http) });
}
