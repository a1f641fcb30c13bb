namespace CoFrGeNet.Generation;

/// <summary>What one generated token adds.</summary>
/// <param name="Token">The token's id.</param>
/// <param name="Text">Text that is certain now; empty while a character is incomplete or a stop text may have begun.</param>
/// <param name="Finish">Why this is the last piece; null: it is not.</param>
public readonly record struct GeneratedPiece(int Token, string Text, FinishReason? Finish);
