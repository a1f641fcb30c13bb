namespace CoFrGeNet.Text;

/// <summary>Two adjacent tokens that become one.</summary>
/// <param name="Left">Id of the left token.</param>
/// <param name="Right">Id of the right token.</param>
/// <param name="Merged">Id of the token that they become.</param>
/// <param name="Rank">Merges of lower rank go first; of equal ones the leftmost.</param>
internal readonly record struct BytePairMerge(int Left, int Right, int Merged, int Rank);
