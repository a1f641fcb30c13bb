using CoFrGeNet.Accounting;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Torch;

/// <summary>What a replacement changed.</summary>
/// <param name="Layers">The layers whose part was replaced, from 0.</param>
/// <param name="Before">Parameters before.</param>
/// <param name="After">Parameters after.</param>
public sealed record ReplacementReport(IReadOnlyList<int> Layers, ParameterCount Before, ParameterCount After)
{
    /// <summary>One line for a log.</summary>
    public override string ToString() =>
        $"layers {string.Join(", ", Layers)}: {Before.Total:N0} -> {After.Total:N0} parameters ({(double)After.Total / Before.Total:P1}), in blocks {Before.BlockParameters:N0} -> {After.BlockParameters:N0}";
}

/// <summary>Swaps the feed-forward or the mixer of an existing model; every other weight stays as it is.</summary>
public static class ModelReplacement
{
    /// <summary>Replaces the feed-forward of chosen layers by a freshly drawn one.</summary>
    /// <param name="model">The model.</param>
    /// <param name="feedForward">The new feed-forward.</param>
    /// <param name="layers">Layers from 0; none: all.</param>
    /// <returns>Parameters before and after.</returns>
    /// <exception cref="UserErrorException">No such layer, or the part does not fit the model.</exception>
    public static ReplacementReport Replace(this LanguageModel model, FeedForwardConfig feedForward, params int[] layers) =>
        Replace(model, block => block with { FeedForward = feedForward }, (block, options) =>
            block.Replace(null, ModuleFactory.FeedForward(feedForward, model.Config.Width, options)), layers);

    /// <summary>Replaces the mixer of chosen layers by a freshly drawn one.</summary>
    /// <param name="model">The model.</param>
    /// <param name="mixer">The new mixer.</param>
    /// <param name="layers">Layers from 0; none: all.</param>
    /// <returns>Parameters before and after.</returns>
    /// <exception cref="UserErrorException">No such layer, or the part does not fit the model.</exception>
    public static ReplacementReport Replace(this LanguageModel model, MixerConfig mixer, params int[] layers) =>
        Replace(model, block => block with { Mixer = mixer }, (block, options) =>
            block.Replace(ModuleFactory.Mixer(mixer, model.Config.Width, model.Config.ContextLength, options), null), layers);

    private static ReplacementReport Replace(
        LanguageModel model, Func<BlockConfig, BlockConfig> change, Action<Block, ModuleOptions> exchange, int[] layers)
    {
        var chosen = layers.Length > 0 ? layers.Distinct().Order().ToArray() : [.. Enumerable.Range(0, model.Config.LayerCount)];
        foreach (var layer in chosen)
        {
            if (layer < 0 || layer >= model.Config.LayerCount)
            {
                throw new UserErrorException($"Layer {layer} was given; this model has layers 0 to {model.Config.LayerCount - 1}.");
            }
        }

        var before = ParameterCount.Of(model.Config);
        var config = (model.Config with
        {
            Blocks = [.. model.Config.Layers.Select((block, i) => chosen.Contains(i) ? change(block) : block)],
        }).Validate();
        var options = LanguageModel.Options(config, model.Device);
        foreach (var layer in chosen)
        {
            exchange(model.Blocks[layer], options);
        }

        model.Config = config;
        model.ComputeType = model.ComputeType;
        return new ReplacementReport(chosen, before, ParameterCount.Of(config));
    }
}
