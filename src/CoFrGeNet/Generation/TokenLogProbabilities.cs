namespace CoFrGeNet.Generation;

/// <summary>How likely the token at a position was, and which were likeliest there, before temperature, penalties and bias.</summary>
/// <param name="Chosen">The token that stands there.</param>
/// <param name="Top">The likeliest tokens, the likeliest first, of equal ones the smaller id; as many as were asked for.</param>
public sealed record TokenLogProbabilities(TokenLogProbability Chosen, IReadOnlyList<TokenLogProbability> Top);
