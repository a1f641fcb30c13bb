namespace CoFrGeNet.Torch;

/// <summary>A layer that holds ladders: what schedules, clipping and inspection need to know of it.</summary>
public interface ILadderLayer
{
    /// <summary>The parameters of each level, outermost (k = 1) first.</summary>
    IReadOnlyList<IReadOnlyList<Parameter>> LevelParameters { get; }

    /// <summary>Where the denominators' statistics are gathered; null: nowhere.</summary>
    PoleStatistics? Statistics { get; set; }

    /// <summary>The trained range of the outputs, or null when they are not clipped.</summary>
    OutputRange? Range { get; }
}
