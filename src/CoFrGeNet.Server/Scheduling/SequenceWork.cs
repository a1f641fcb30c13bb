using CoFrGeNet.Generation;

namespace CoFrGeNet.Server;

/// <summary>One sequence on its way through the scheduler. Only the scheduler's thread touches it.</summary>
internal sealed class SequenceWork
{
    // Fixed parts of the prompt: how it is cut must not depend on what else is computed.
    private const int PromptPart = 256;

    // Engines give out caches in pages; none is larger.
    private const long CachePage = 64;

    private readonly Sampler? _sampler;
    private GeneratedSequence? _sequence;
    private ReadOnlyMemory<int> _unread;

    /// <summary>Creates a sequence.</summary>
    public SequenceWork(GenerationJob job, PromptWork prompt, int index, Sampler? sampler)
    {
        Job = job;
        Prompt = prompt;
        Index = index;
        _sampler = sampler;
        _unread = prompt.Tokens;
    }

    /// <summary>The request that it belongs to.</summary>
    public GenerationJob Job { get; }

    /// <summary>Its prompt.</summary>
    public PromptWork Prompt { get; }

    /// <summary>The choice's number.</summary>
    public int Index { get; }

    /// <summary>Tokens that its cache takes at most, in whole pages.</summary>
    /// <param name="contextLength">Most tokens that a sequence may have.</param>
    public long CacheTokens(int contextLength) => Pages(Math.Min(contextLength, Prompt.Tokens.Length + (long)(_sampler?.Options.MaxTokens ?? 0)));

    /// <summary>Tokens that a cache takes, in whole pages.</summary>
    /// <param name="tokens">Tokens that it holds.</param>
    public static long Pages(long tokens) => (tokens + CachePage - 1) / CachePage * CachePage;

    /// <summary>Where the model keeps what it has read; null before the first pass.</summary>
    public IDecodingSession? Session { get; set; }

    /// <summary>Whether the prompt's log-probabilities are still to be told.</summary>
    public bool AwaitsScores => Prompt.ScoreTop is not null && !_told;

    /// <summary>Whether more than one token is to be read before the next can be drawn.</summary>
    public bool ReadsPrompt => _unread.Length > 1 || (_sequence is null && !_unread.IsEmpty);

    /// <summary>When the last token was drawn.</summary>
    public long LastToken { get; private set; }

    /// <summary>Tokens drawn.</summary>
    public int Count => _sequence?.Count ?? 0;

    /// <summary>Whether it goes on.</summary>
    public bool IsFinished { get; private set; }

    /// <summary>Why it ended.</summary>
    public FinishReason? Finish => _sequence?.Finish;

    private bool _told;

    /// <summary>What the next pass shall read.</summary>
    public ReadOnlyMemory<int> NextPart => _unread[..Math.Min(PromptPart, _unread.Length)];

    /// <summary>Tells of the prompt, then draws the first token where that needs no pass of its own.</summary>
    /// <param name="model">The model.</param>
    public void TellPrompt(ServedModel model)
    {
        _told = true;
        Job.Publish(new PromptRead(Index, Prompt.Scores));
        if (_sampler is null)
        {
            End();
        }
        else if (Prompt.Scores is not null)
        {
            Draw(model, Prompt.NextLogits);
            // The session has not read the prompt yet.
            _unread = IsFinished ? default : (int[])[.. Prompt.Tokens, .. _unread.Span];
        }
    }

    /// <summary>Takes the outcome of a pass that read <see cref="NextPart"/>.</summary>
    /// <param name="model">The model.</param>
    public void Advance(ServedModel model)
    {
        _unread = _unread[NextPart.Length..];
        if (_unread.IsEmpty)
        {
            Draw(model, Session!.Logits);
        }
    }

    private void Draw(ServedModel model, ReadOnlySpan<float> logits)
    {
        _sequence ??= new GeneratedSequence(model.Model, model.Tokenizer, Prompt.Tokens, _sampler!);
        var piece = _sequence.Next(logits);
        LastToken = System.Diagnostics.Stopwatch.GetTimestamp();
        Job.Publish(new TokenDrawn(Index, piece));
        // The state machine uses its memory again, and so may a pass that still reads: one token is copied.
        _unread = new[] { piece.Token };
        if (_sequence.IsFinished)
        {
            End();
        }
    }

    private void End()
    {
        IsFinished = true;
        Job.Close();
    }
}
