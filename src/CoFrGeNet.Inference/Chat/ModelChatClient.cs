using System.Runtime.CompilerServices;
using CoFrGeNet.Generation;
using CoFrGeNet.Text;
using Microsoft.Extensions.AI;

namespace CoFrGeNet.Inference;

/// <summary>
/// A model as Microsoft.Extensions.AI sees it. <see cref="ChatSampling"/> says how <see cref="ChatOptions"/> are read; <see cref="TextModel.Template"/> makes the prompt.
/// May be used by several threads at once. The model is not disposed with it.
/// </summary>
public sealed class ModelChatClient : IChatClient
{
    private readonly TextModel _model;
    private readonly SamplingOptions _defaults;
    private readonly ChatClientMetadata _metadata;

    /// <summary>Creates the client.</summary>
    /// <param name="model">The model.</param>
    /// <param name="defaults">What options that are absent mean; absent: the defaults of <see cref="SamplingOptions"/>.</param>
    public ModelChatClient(TextModel model, SamplingOptions? defaults = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        _model = model;
        _defaults = (defaults ?? new SamplingOptions()).Validate();
        _metadata = new ChatClientMetadata("cofrgenet", providerUri: null, model.Name);
    }

    /// <inheritdoc/>
    /// <exception cref="UserErrorException">A message is no text, an option is out of range, or the conversation is longer than the context.</exception>
    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        var sequence = Start(messages, options);
        var pieces = new List<GeneratedPiece>();
        await foreach (var piece in _model.StreamAsync(sequence, cancellationToken).ConfigureAwait(false))
        {
            pieces.Add(piece);
        }

        var result = GenerationResult.Collect(pieces);
        var id = NewId();
        return new ChatResponse(new ChatMessage(ChatRole.Assistant, _model.Template.TrimsAnswers ? result.Text.TrimStart() : result.Text) { MessageId = id })
        {
            ResponseId = id,
            ModelId = _model.Name,
            CreatedAt = DateTimeOffset.UtcNow,
            FinishReason = Reason(result.Finish),
            Usage = Usage(sequence),
            RawRepresentation = result,
        };
    }

    /// <inheritdoc/>
    /// <exception cref="UserErrorException">A message is no text, an option is out of range, or the conversation is longer than the context; thrown on the call.</exception>
    public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        Updates(Start(messages, options), cancellationToken);

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(ChatClientMetadata) ? _metadata
            : serviceType == typeof(TextModel) ? _model
            : serviceType == typeof(ILanguageModel) ? _model.Model
            : serviceType == typeof(ITokenizer) ? _model.Tokenizer
            : serviceType.IsInstanceOfType(this) ? this
            : null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // The model belongs to whoever made it; several clients may share it.
    }

    private async IAsyncEnumerable<ChatResponseUpdate> Updates(GeneratedSequence sequence, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var (id, created) = (NewId(), DateTimeOffset.UtcNow);
        var isStart = _model.Template.TrimsAnswers;
        await foreach (var piece in _model.StreamAsync(sequence, cancellationToken).ConfigureAwait(false))
        {
            var text = isStart ? piece.Text.TrimStart() : piece.Text;
            isStart &= text.Length == 0;
            if (text.Length == 0 && piece.Finish is null && piece.LogProbabilities is null)
            {
                continue;
            }

            var update = new ChatResponseUpdate(ChatRole.Assistant, text)
            {
                ResponseId = id,
                MessageId = id,
                ModelId = _model.Name,
                CreatedAt = created,
                RawRepresentation = piece,
            };
            if (piece.Finish is { } finish)
            {
                update.FinishReason = Reason(finish);
                update.Contents.Add(new UsageContent(Usage(sequence)));
            }

            yield return update;
        }
    }

    private GeneratedSequence Start(IEnumerable<ChatMessage> messages, ChatOptions? options)
    {
        ArgumentNullException.ThrowIfNull(messages);
        var turns = messages.Select(Turn).ToList();
        if (options?.Instructions is { Length: > 0 } instructions)
        {
            turns.Insert(0, new ChatTurn(ChatRole.System.Value, instructions));
        }

        if (turns.Count == 0)
        {
            throw new UserErrorException("The conversation has no message; give one or more.");
        }

        var sampling = ChatSampling.Read(options, _defaults);
        return _model.Start(_model.Template.Render(turns), sampling with
        {
            Stop = [.. sampling.Stop, .. _model.Template.Stop],
            StopIds = [.. sampling.StopIds, .. _model.Template.StopIds(_model.Tokenizer)],
        });
    }

    private static ChatTurn Turn(ChatMessage message, int index) =>
        message.Contents.FirstOrDefault(content => content is not (TextContent or TextReasoningContent or UsageContent)) is { } other
            ? throw new UserErrorException($"Message {index} of the conversation holds {other.GetType().Name}; allowed is text.")
            : new ChatTurn(message.Role.Value, message.Text);

    private static UsageDetails Usage(GeneratedSequence sequence) => new()
    {
        InputTokenCount = sequence.PromptLength,
        OutputTokenCount = sequence.Count,
        TotalTokenCount = sequence.PromptLength + sequence.Count,
    };

    private static ChatFinishReason Reason(FinishReason finish) => finish == FinishReason.Stop ? ChatFinishReason.Stop : ChatFinishReason.Length;

    private static string NewId() => $"chat-{Guid.NewGuid():N}";
}
