using CoFrGeNet.Generation;
using CoFrGeNet.Tests;
using CoFrGeNet.Text;
using Microsoft.Extensions.AI;

namespace CoFrGeNet.Inference.Tests.Chat;

public sealed class ModelChatClientTests : IDisposable
{
    private static readonly ChatMessage[] Conversation = [new(ChatRole.System, "Be brief."), new(ChatRole.User, "Hi!")];

    private readonly TemporaryFolder _folder = new();
    private readonly TextModel _model;
    private readonly ModelChatClient _client;

    public ModelChatClientTests()
    {
        _model = TextModel.Load(TinyModel.Write(_folder, TinyModel.Config("fu") with { VocabularySize = 257 }));
        _client = new ModelChatClient(_model);
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _client.Dispose();
        _model.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task An_answer_continues_the_rendered_conversation()
    {
        var options = new ChatOptions { Seed = 6, MaxOutputTokens = 30, Temperature = 0.7f, TopP = 0.9f };
        var response = await _client.GetResponseAsync(Conversation, options, Cancel);
        var expected = await _model.GenerateAsync(
            "System: Be brief.\nUser: Hi!\nAssistant:", new SamplingOptions { Seed = 6, MaxTokens = 30, Temperature = 0.7, TopP = 0.9, Stop = ["\nUser:", "\nSystem:"] }, Cancel);
        Assert.Equal(expected.Text.TrimStart(), response.Text);
        Assert.Equal(ChatRole.Assistant, Assert.Single(response.Messages).Role);
        Assert.Equal((38, 30, 68), (response.Usage!.InputTokenCount, response.Usage.OutputTokenCount, response.Usage.TotalTokenCount));
        Assert.Equal(ChatFinishReason.Length, response.FinishReason);
        Assert.Equal(_model.Name, response.ModelId);
    }

    [Fact]
    public async Task Streaming_gives_the_same_in_pieces()
    {
        var options = new ChatOptions { Seed = 8, MaxOutputTokens = 40 };
        var whole = await _client.GetResponseAsync(Conversation, options, Cancel);
        var updates = new List<ChatResponseUpdate>();
        await foreach (var update in _client.GetStreamingResponseAsync(Conversation, options, Cancel))
        {
            updates.Add(update);
        }

        var joined = updates.ToChatResponse();
        Assert.Equal(whole.Text, joined.Text);
        Assert.Equal(whole.FinishReason, joined.FinishReason);
        Assert.Equal(whole.Usage!.TotalTokenCount, joined.Usage!.TotalTokenCount);
        Assert.True(updates.Count > 5, $"{updates.Count} updates");
        Assert.Single(updates.Select(update => update.MessageId).Distinct());
    }

    [Fact]
    public async Task Many_conversations_at_once_get_what_each_gets_alone()
    {
        var options = Enumerable.Range(0, 12).Select(i => new ChatOptions { Seed = i, MaxOutputTokens = 20 + i }).ToArray();
        var alone = new List<string>();
        foreach (var each in options)
        {
            alone.Add((await _client.GetResponseAsync(Conversation, each, Cancel)).Text);
        }

        var together = await Task.WhenAll(options.Select(each => Task.Run(async () => (await _client.GetStreamingResponseAsync(Conversation, each, Cancel).ToChatResponseAsync(Cancel)).Text, Cancel)));
        Assert.Equal(alone, together);
    }

    [Fact]
    public async Task Cancelling_stops_at_the_next_token_and_frees_the_cache()
    {
        var engine = (InferenceModel)_model.Model;
        var free = engine.CacheFree;
        for (var i = 0; i < 5; i++)
        {
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
            var seen = 0;
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
            {
                await foreach (var update in _client.GetStreamingResponseAsync(Conversation, new ChatOptions { Seed = i, MaxOutputTokens = 150 }, stop.Token))
                {
                    seen++;
                    await stop.CancelAsync();
                }
            });
            Assert.Equal(1, seen);
        }

        // Leaving the loop frees it as well.
        await foreach (var update in _client.GetStreamingResponseAsync(Conversation, cancellationToken: Cancel))
        {
            break;
        }

        Assert.Equal(free, engine.CacheFree);
        using var before = new CancellationTokenSource();
        await before.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _client.GetResponseAsync(Conversation, cancellationToken: before.Token));
        Assert.NotEmpty((await _client.GetResponseAsync(Conversation, new ChatOptions { MaxOutputTokens = 10, Seed = 1 }, Cancel)).RawRepresentation is GenerationResult result ? result.Tokens : []);
    }

    [Fact]
    public void Services_are_found_by_type()
    {
        Assert.Same(_client, _client.GetService(typeof(IChatClient)));
        Assert.Same(_model, _client.GetService<TextModel>());
        Assert.Same(_model.Model, _client.GetService<ILanguageModel>());
        Assert.Same(_model.Tokenizer, _client.GetService<ITokenizer>());
        Assert.Equal(_model.Name, _client.GetService<ChatClientMetadata>()!.DefaultModelId);
        Assert.Null(_client.GetService(typeof(IChatClient), "key"));
        Assert.Null(_client.GetService(typeof(string)));
    }

    [Fact]
    public async Task What_cannot_be_answered_is_refused_in_a_line()
    {
        async Task<string> Message(IEnumerable<ChatMessage> messages, ChatOptions? options = null) =>
            (await Assert.ThrowsAsync<UserErrorException>(() => _client.GetResponseAsync(messages, options, Cancel))).Message;
        Assert.Equal("The conversation has no message; give one or more.", await Message([]));
        Assert.Equal("Message 1 of the conversation holds DataContent; allowed is text.", await Message([Conversation[0], new(ChatRole.User, [new DataContent(new byte[3], "image/png")])]));
        Assert.Contains("this model's context holds 200", await Message([new(ChatRole.User, new string('x', 300))]));
        Assert.Throws<UserErrorException>(() => _client.GetStreamingResponseAsync([], cancellationToken: Cancel));
    }
}
