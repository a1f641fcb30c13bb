using System.Text.Json.Serialization.Metadata;
using CoFrGeNet.Client;
using CoFrGeNet.Generation;

namespace CoFrGeNet.Server;

/// <summary>Turns what the scheduler does into parts of an answer in a conversation, and those into a whole one.</summary>
internal sealed class ChatAnswer : IAnswer<ChatChunkChoice, ChatChunk, ChatResponse>
{
    private readonly ChatRequest _request;
    private readonly ModelHost _model;
    private readonly PromptWork _prompt;
    private readonly bool _trims;
    private readonly bool[] _hasText;
    private readonly int[] _drawn;
    private readonly string?[] _finish;
    private readonly string _id = "chatcmpl-" + Guid.NewGuid().ToString("N");
    private readonly long _created = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    /// <summary>Begins an answer.</summary>
    /// <param name="request">The request.</param>
    /// <param name="model">The model.</param>
    /// <param name="prompt">The conversation as tokens, with its choices.</param>
    /// <param name="trims">Whether space at the start is left out.</param>
    public ChatAnswer(ChatRequest request, ModelHost model, PromptWork prompt, bool trims)
    {
        _request = request;
        _model = model;
        _prompt = prompt;
        _trims = trims;
        _hasText = new bool[prompt.Choices.Count];
        _drawn = new int[prompt.Choices.Count];
        _finish = new string?[prompt.Choices.Count];
    }

    /// <inheritdoc/>
    public JsonTypeInfo<ChatChunk> ChunkType => ServerJson.Wire.ChatChunk;

    /// <inheritdoc/>
    public JsonTypeInfo<ChatResponse> WholeType => ServerJson.Wire.ChatResponse;

    /// <inheritdoc/>
    public IReadOnlyList<string?> Finish => _finish;

    /// <inheritdoc/>
    public Usage Usage => new(_prompt.Tokens.Length, _drawn.Sum(), _prompt.Tokens.Length + _drawn.Sum());

    /// <inheritdoc/>
    public IEnumerable<ChatChunkChoice> Take(SequenceEvent what)
    {
        if (what is not TokenDrawn drawn)
        {
            yield return new ChatChunkChoice { Index = what.Index, Delta = new ChatDelta { Role = "assistant", Content = string.Empty } };
            yield break;
        }

        var piece = drawn.Piece;
        _drawn[what.Index]++;
        _finish[what.Index] = piece.Finish?.ToString().ToLowerInvariant();
        var text = _trims && !_hasText[what.Index] ? piece.Text.TrimStart() : piece.Text;
        _hasText[what.Index] |= text.Length > 0;
        var logprobs = piece.LogProbabilities is null ? null : new ChatLogprobs([Describe(piece.LogProbabilities)]);
        if (text.Length > 0 || logprobs is not null)
        {
            yield return new ChatChunkChoice { Index = what.Index, Delta = new ChatDelta { Content = text }, Logprobs = logprobs };
        }

        if (piece.Finish is not null)
        {
            yield return new ChatChunkChoice { Index = what.Index, Delta = new ChatDelta(), FinishReason = _finish[what.Index] };
        }
    }

    /// <inheritdoc/>
    public ChatChunk Chunk(IReadOnlyList<ChatChunkChoice> parts, Usage? usage = null) => new() { Id = _id, Created = _created, Model = _model.Name, Choices = parts, Usage = usage };

    /// <inheritdoc/>
    public ChatResponse Whole(IEnumerable<ChatChunkChoice> parts) => new()
    {
        Id = _id,
        Created = _created,
        Model = _model.Name,
        Choices = [.. parts.GroupBy(part => part.Index).OrderBy(group => group.Key).Select(group => new ChatChoice
        {
            Index = group.Key,
            Message = new AssistantMessage("assistant", string.Concat(group.Select(part => part.Delta.Content))),
            Logprobs = _request.Logprobs == true ? new ChatLogprobs([.. group.SelectMany(part => part.Logprobs?.Content ?? [])]) : null,
            FinishReason = _finish[group.Key]!,
        })],
        Usage = Usage,
    };

    private ChatTokenLogprob Describe(TokenLogProbabilities score) => new(
        _model.Texts[score.Chosen.Token],
        score.Chosen.LogProbability,
        _model.Texts.Bytes(score.Chosen.Token),
        [.. score.Top.Select(entry => new ChatTopLogprob(_model.Texts[entry.Token], entry.LogProbability, _model.Texts.Bytes(entry.Token)))]);
}
