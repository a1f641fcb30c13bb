namespace CoFrGeNet.Inference;

/// <summary>Evaluates ladders of one depth and guard.</summary>
/// <param name="a">Partial denominators, [d, stride].</param>
/// <param name="stride">From a level to the next; whole registers.</param>
/// <param name="z">Receives the outputs, before clipping.</param>
internal delegate void LadderEvaluation(float[] a, int stride, float[] z);
