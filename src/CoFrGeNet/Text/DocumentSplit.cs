namespace CoFrGeNet.Text;

/// <summary>
/// Documents cut into a training and a validation part. Whole documents go to one side and equal texts to the same one, so that no
/// validation text was trained on. Which side is decided by a hash of seed and text: neither the order in which files are
/// found nor their names matter.
/// </summary>
/// <param name="Training">The training documents, ordered by name.</param>
/// <param name="Validation">The validation documents, ordered by name.</param>
public sealed record DocumentSplit(IReadOnlyList<Document> Training, IReadOnlyList<Document> Validation)
{
    /// <summary>Cuts documents in two.</summary>
    /// <param name="documents">The documents, in any order.</param>
    /// <param name="validationFraction">The share of the text, in characters, that validation should get; inside (0, 1).</param>
    /// <param name="seed">Chooses another cut.</param>
    /// <returns>
    /// Both parts, neither empty. Validation takes documents in hash order until it has its share; one that would
    /// overshoot the share by more than a quarter is left to training, so a few very long documents cannot all end in validation.
    /// </returns>
    /// <exception cref="UserErrorException">There are fewer than two different documents.</exception>
    public static DocumentSplit Create(IEnumerable<Document> documents, double validationFraction, ulong seed = 0)
    {
        ArgumentNullException.ThrowIfNull(documents);
        if (!(validationFraction is > 0 and < 1))
        {
            throw new ArgumentOutOfRangeException(nameof(validationFraction), validationFraction, "must lie inside (0, 1)");
        }

        var groups = documents
            .GroupBy(document => document.Text, StringComparer.Ordinal)
            .Select(same => (Hash: StableHash.Of(seed, same.Key), Text: same.Key, Documents: same.ToArray()))
            .OrderBy(group => group.Hash)
            .ThenBy(group => group.Text, StringComparer.Ordinal)
            .Select(group => group.Documents)
            .ToArray();
        if (groups.Length < 2)
        {
            throw new UserErrorException(
                $"{groups.Length} document(s) cannot be cut into training and validation text; give at least two different files, "
                + $"separate documents by a line {SpecialTokens.EndOfText}, or give a longer text");
        }

        var chosen = Choose(groups, validationFraction);
        return new DocumentSplit(Order(groups.Where((_, i) => !chosen[i])), Order(groups.Where((_, i) => chosen[i])));
    }

    private static bool[] Choose(Document[][] groups, double fraction)
    {
        var sizes = Array.ConvertAll(groups, group => group.Sum(document => (long)document.Text.Length));
        var share = fraction * sizes.Sum();
        var chosen = new bool[groups.Length];
        var taken = 0L;
        for (var i = 0; i < groups.Length && taken < share; i++)
        {
            chosen[i] = taken + sizes[i] <= share * 1.25;
            taken += chosen[i] ? sizes[i] : 0;
        }

        if (!chosen.Contains(true))
        {
            // Every document is larger than the share: the smallest comes closest.
            chosen[Array.IndexOf(sizes, sizes.Min())] = true;
        }
        else if (!chosen.Contains(false))
        {
            chosen[^1] = false;
        }

        return chosen;
    }

    private static Document[] Order(IEnumerable<Document[]> groups) =>
    [
        .. groups.SelectMany(group => group)
            .OrderBy(document => document.Name, StringComparer.Ordinal)
            .ThenBy(document => document.Text, StringComparer.Ordinal),
    ];
}
