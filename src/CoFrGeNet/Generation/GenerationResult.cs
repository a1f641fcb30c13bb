namespace CoFrGeNet.Generation;

/// <summary>A generated text.</summary>
/// <param name="Text">The text, without prompt and stop text.</param>
/// <param name="Tokens">The ids drawn, without the token that ended the text as a mark; those that spell a stop text are among them.</param>
/// <param name="Finish">Why it ended.</param>
public sealed record GenerationResult(string Text, IReadOnlyList<int> Tokens, FinishReason Finish)
{
    /// <summary>How likely each of <see cref="Tokens"/> was; empty unless <see cref="SamplingOptions.LogProbabilities"/> asks for it.</summary>
    public IReadOnlyList<TokenLogProbabilities> LogProbabilities { get; init; } = [];

    /// <summary>Joins pieces.</summary>
    /// <param name="pieces">All pieces of one text.</param>
    public static GenerationResult Collect(IEnumerable<GeneratedPiece> pieces)
    {
        ArgumentNullException.ThrowIfNull(pieces);
        var text = new System.Text.StringBuilder();
        var tokens = new List<int>();
        var probabilities = new List<TokenLogProbabilities>();
        var finish = FinishReason.Length;
        foreach (var piece in pieces)
        {
            text.Append(piece.Text);
            finish = piece.Finish ?? finish;
            if (piece.IsEndMark)
            {
                continue;
            }

            tokens.Add(piece.Token);
            if (piece.LogProbabilities is { } known)
            {
                probabilities.Add(known);
            }
        }

        return new GenerationResult(text.ToString(), tokens, finish) { LogProbabilities = probabilities };
    }
}
