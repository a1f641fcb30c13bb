namespace CoFrGeNet.Generation;

/// <summary>One position in a batch of sequences.</summary>
/// <param name="Sequence">Number of the sequence, from 0.</param>
/// <param name="Index">Number of the token in it, from 0.</param>
public readonly record struct TokenPosition(int Sequence, int Index);
