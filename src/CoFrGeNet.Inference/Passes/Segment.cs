namespace CoFrGeNet.Inference;

/// <summary>Neighbouring tokens of one sequence in a pass.</summary>
/// <param name="Cache">The sequence's cache.</param>
/// <param name="Row">Row of the first token.</param>
/// <param name="Count">Number of tokens.</param>
/// <param name="Position">Position of the first token in its sequence.</param>
internal readonly record struct Segment(SequenceCache Cache, int Row, int Count, int Position);
