namespace CoFrGeNet.Evaluation;

/// <summary>A question to the model: how likely is a text?</summary>
public abstract record ScoringRequest;

/// <summary>How likely is a continuation after a context?</summary>
/// <param name="Context">The context; empty: the start of a text.</param>
/// <param name="Continuation">What is scored.</param>
public sealed record ContinuationRequest(string Context, string Continuation) : ScoringRequest;

/// <summary>How likely is a text of any length? It is read in windows; every token is scored once.</summary>
/// <param name="Text">The text.</param>
public sealed record RollingRequest(string Text) : ScoringRequest
{
    /// <summary>Most tokens that the model sees at once; absent: its context length.</summary>
    public int? Window { get; init; }

    /// <summary>New tokens of each window after the first; absent: all of them, so that windows share one token only.</summary>
    public int? Stride { get; init; }

    /// <summary>Whether the start-of-text token stands before the text; otherwise the first token is context and not scored.</summary>
    public bool StartToken { get; init; } = true;
}

/// <summary>The model's answer.</summary>
/// <param name="LogLikelihood">Sum of the tokens' log-probabilities, in nats.</param>
/// <param name="IsGreedy">Whether each token was the most likely one.</param>
/// <param name="Tokens">How many tokens were scored.</param>
public readonly record struct RequestScore(double LogLikelihood, bool IsGreedy, int Tokens)
{
    /// <summary>The answer to two questions that follow each other.</summary>
    /// <param name="next">The second answer.</param>
    public RequestScore Then(RequestScore next) =>
        new(LogLikelihood + next.LogLikelihood, IsGreedy && next.IsGreedy, Tokens + next.Tokens);

    /// <summary>The answer to the empty text.</summary>
    public static RequestScore Empty { get; } = new(0, true, 0);
}
