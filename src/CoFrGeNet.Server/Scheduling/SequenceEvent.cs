using CoFrGeNet.Generation;

namespace CoFrGeNet.Server;

/// <summary>Something that happened to a sequence.</summary>
/// <param name="Index">The choice's number.</param>
internal abstract record SequenceEvent(int Index);

/// <summary>The prompt was scored, or is to be repeated; comes first.</summary>
/// <param name="Index">The choice's number.</param>
/// <param name="Scores">One entry a token, null for the first; null where no log-probabilities were asked for.</param>
internal sealed record PromptRead(int Index, IReadOnlyList<TokenLogProbabilities?>? Scores) : SequenceEvent(Index);

/// <summary>A token was drawn.</summary>
/// <param name="Index">The choice's number.</param>
/// <param name="Piece">The token and its text.</param>
internal sealed record TokenDrawn(int Index, GeneratedPiece Piece) : SequenceEvent(Index);
