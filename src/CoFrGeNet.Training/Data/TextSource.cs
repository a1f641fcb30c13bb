using CoFrGeNet.Data;

namespace CoFrGeNet.Training;

/// <summary>A text among those that a run is trained on.</summary>
/// <param name="Name">What it is called in messages.</param>
/// <param name="Tokens">Its training tokens.</param>
/// <param name="Weight">Its share of the windows, relative to the others; above 0.</param>
public sealed record TextSource(string Name, ITokenSequence Tokens, double Weight);
