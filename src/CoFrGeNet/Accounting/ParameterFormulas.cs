using CoFrGeNet.Configuration;

namespace CoFrGeNet.Accounting;

/// <summary>
/// How <see cref="ParameterCount"/> comes about, by component, in the paper's letters: V vocabulary, T context length, p width, N layers;
/// letters of a layer are given with their values.
/// </summary>
/// <param name="Embedding">Token and position embeddings.</param>
/// <param name="Mixer">All token mixers.</param>
/// <param name="FeedForward">All feed-forwards.</param>
/// <param name="Norm">All norms.</param>
/// <param name="Head">The head.</param>
public sealed record ParameterFormulas(string Embedding, string Mixer, string FeedForward, string Norm, string Head)
{
    /// <summary>Gives the formulas of a configuration.</summary>
    /// <param name="model">The configuration.</param>
    public static ParameterFormulas Of(ModelConfig model) => new(
        model.LearnedPositions ? "V p + T p" : "V p",
        Parts(model, block => block.Mixer.ParameterFormula()),
        Parts(model, block => block.FeedForward.ParameterFormula()),
        $"(2 N + 1) {(model.Norm.Kind == NormKind.LayerNorm ? "2 p" : "p")}, N = {model.LayerCount}",
        model.TiedHead ? "0" : "V p");

    // "48 (L p (d + 1) + 2 p^2), L = 16, d = 3"; different layers are parted by "; ".
    private static string Parts(ModelConfig model, Func<BlockConfig, string> formula) => string.Join("; ", model.Layers
        .GroupBy(formula)
        .Select(group => (Count: group.Count(), Parts: group.Key.Split(", ", 2)))
        .Select(part => $"{part.Count} ({part.Parts[0]})" + (part.Parts.Length > 1 ? $", {part.Parts[1]}" : string.Empty)));
}
