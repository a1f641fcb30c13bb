using CoFrGeNet.Torch;

namespace CoFrGeNet.Training;

/// <summary>The kinds of parameters that are clipped and logged apart.</summary>
public enum Component
{
    /// <summary>Token and position embeddings.</summary>
    Embedding,

    /// <summary>Mixers without their ladders.</summary>
    Mixer,

    /// <summary>Feed-forwards without their ladders.</summary>
    FeedForward,

    /// <summary>The partial denominators' weights of all ladders.</summary>
    Ladders,

    /// <summary>All norms.</summary>
    Norm,

    /// <summary>An untied head.</summary>
    Head,
}

/// <summary>The parameters of one component of one layer.</summary>
/// <param name="Component">Which component.</param>
/// <param name="Layer">The layer from 0; null outside the blocks.</param>
/// <param name="Parameters">Name and parameter.</param>
public sealed record ComponentGroup(Component Component, int? Layer, IReadOnlyList<(string Name, Parameter Parameter)> Parameters)
{
    /// <summary>Divides a model's parameters into groups; each parameter is in exactly one.</summary>
    /// <param name="model">The model.</param>
    public static IReadOnlyList<ComponentGroup> Of(LanguageModel model)
    {
        var ladders = model.modules().OfType<ILadderLayer>()
            .SelectMany(layer => layer.LevelParameters.SelectMany(level => level))
            .Select(parameter => parameter.Handle).ToHashSet();
        return
        [
            .. model.named_parameters()
                .Select(entry => (Name: entry.name, Parameter: entry.parameter, Place: Place(entry.name, ladders.Contains(entry.parameter.Handle))))
                .GroupBy(entry => entry.Place)
                .Select(group => new ComponentGroup(group.Key.Component, group.Key.Layer, [.. group.Select(entry => (entry.Name, entry.Parameter))])),
        ];
    }

    private static (Component Component, int? Layer) Place(string name, bool ladder)
    {
        var parts = name.Split('.');
        if (parts[0] != "blocks")
        {
            var component = parts[0] switch { "final_norm" => Component.Norm, "head" => Component.Head, _ => Component.Embedding };
            return (component, null);
        }

        var inside = parts[2] switch { "mixer" => Component.Mixer, "feed_forward" => Component.FeedForward, _ => Component.Norm };
        return (ladder ? Component.Ladders : inside, int.Parse(parts[1]));
    }
}
