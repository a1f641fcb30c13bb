namespace CoFrGeNet.Generation;

/// <summary>What one sequence receives in a pass over several.</summary>
/// <param name="Session">A session of the model that runs the pass.</param>
/// <param name="Tokens">One or more token ids.</param>
public readonly record struct SessionTokens(IDecodingSession Session, ReadOnlyMemory<int> Tokens);
