using CoFrGeNet.Configuration;

namespace CoFrGeNet.Torch;

/// <summary>A layer that holds ladders: what schedules, clipping and inspection need to know of it.</summary>
public interface ILadderLayer
{
    /// <summary>The parameters of each level, outermost (k = 1) first.</summary>
    IReadOnlyList<IReadOnlyList<Parameter>> LevelParameters { get; }

    /// <summary>How the poles are guarded.</summary>
    PoleGuard Guard { get; }

    /// <summary>How many leading axes of a level's weights tell ladders apart; the others belong to one ladder.</summary>
    int LadderAxes { get; }

    /// <summary>The outermost levels that the ladders are cut to; 0: they give 0. Null: all. Not stored with the weights: a schedule sets it.</summary>
    int? ActiveLevels { get; set; }

    /// <summary>
    /// Receives the partial denominators of every forward, [.., d, ladders], in the order of <see cref="Range"/>; they are gone after the call. Null: nobody does.
    /// </summary>
    Action<Tensor>? Observer { get; set; }

    /// <summary>Where the denominators' statistics are gathered; null: nowhere.</summary>
    PoleStatistics? Statistics { get; set; }

    /// <summary>The trained range of the outputs, or null when they are not clipped.</summary>
    OutputRange? Range { get; }
}
