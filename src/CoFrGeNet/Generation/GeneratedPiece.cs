namespace CoFrGeNet.Generation;

/// <summary>What one generated token adds.</summary>
/// <param name="Token">The token's id.</param>
/// <param name="Text">Text that is certain now; empty while a character is incomplete or a stop text may have begun.</param>
/// <param name="Finish">Why this is the last piece; null: it is not.</param>
public readonly record struct GeneratedPiece(int Token, string Text, FinishReason? Finish)
{
    /// <summary>Whether the token is an end-of-text or stop token that ended the text and is no part of it.</summary>
    public bool IsEndMark { get; init; }

    /// <summary>How likely the token was; null unless <see cref="SamplingOptions.LogProbabilities"/> asks for it.</summary>
    public TokenLogProbabilities? LogProbabilities { get; init; }
}
