namespace CoFrGeNet.Generation;

/// <summary>How likely a token is.</summary>
/// <param name="Token">The token's id.</param>
/// <param name="LogProbability">In nats: -9999 to 0, never infinite.</param>
public readonly record struct TokenLogProbability(int Token, double LogProbability);
