namespace CoFrGeNet.Generation;

/// <summary>A generated text.</summary>
/// <param name="Text">The text, without prompt and stop text.</param>
/// <param name="Tokens">The ids drawn, without an end-of-text token; those that spell a stop text are among them.</param>
/// <param name="Finish">Why it ended.</param>
public sealed record GenerationResult(string Text, IReadOnlyList<int> Tokens, FinishReason Finish);
