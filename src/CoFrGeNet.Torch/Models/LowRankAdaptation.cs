using CoFrGeNet.Configuration;

namespace CoFrGeNet.Torch;

/// <summary>Which low-rank additions a model gets.</summary>
/// <param name="Rank">Rank r; at least 1.</param>
/// <param name="Alpha">Additions are scaled by alpha / r; above 0.</param>
public sealed record LoraConfig(int Rank = 8, double Alpha = 16)
{
    /// <summary>Checks the members.</summary>
    /// <returns>This configuration.</returns>
    /// <exception cref="UserErrorException">A member is out of range.</exception>
    public LoraConfig Validate()
    {
        var check = new ConfigCheck("lora");
        check.AtLeast(Rank, 1, "rank");
        check.Above(Alpha, 0, "alpha");
        return this;
    }
}

/// <summary>
/// Fine-tuning with few parameters: every linear map of the blocks gets a low-rank addition, all else is frozen. The ladders' weights are no
/// linear maps and few, so they are trained themselves.
/// </summary>
public static class LowRankAdaptation
{
    /// <summary>Adds to every linear map of the blocks and freezes the rest but ladders.</summary>
    /// <param name="model">The model.</param>
    /// <param name="config">Rank and scale.</param>
    /// <returns>Number of parameters that are trained.</returns>
    /// <exception cref="UserErrorException">A member of the configuration is out of range.</exception>
    public static long Adapt(this LanguageModel model, LoraConfig config)
    {
        config.Validate();
        foreach (var parameter in model.parameters())
        {
            parameter.requires_grad = false;
        }

        // Weights of single coordinates are read past the map's forward, which would not see an addition.
        var coordinates = model.modules().OfType<Cffn>().Select(cffn => cffn.CoordinateWeights);
        var maps = model.Blocks.SelectMany(block => block.modules().OfType<Linear>()).Except(coordinates.OfType<Linear>()).ToList();
        foreach (var linear in maps.Where(map => !map.IsExact))
        {
            linear.Adapt(new LoraAdapter(linear.Weight, config.Rank, config.Alpha));
        }

        var levels = model.modules().OfType<ILadderLayer>().SelectMany(layer => layer.LevelParameters).SelectMany(level => level);
        foreach (var parameter in levels.Concat(maps.Where(map => map.IsExact).SelectMany(map => map.parameters())))
        {
            parameter.requires_grad = true;
        }

        return model.parameters().Where(parameter => parameter.requires_grad).Sum(parameter => parameter.numel());
    }

    /// <summary>Adds the additions to the weights for good and takes them away; every parameter is trainable again.</summary>
    /// <param name="model">The model.</param>
    public static void MergeAdapters(this LanguageModel model)
    {
        foreach (var linear in model.modules().OfType<Linear>())
        {
            if (linear.Lora is { } adapter)
            {
                adapter.MergeInto(linear.Weight);
                linear.Adapt(null);
                adapter.Dispose();
            }
        }

        foreach (var parameter in model.parameters())
        {
            parameter.requires_grad = true;
        }
    }
}
