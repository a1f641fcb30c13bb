using CoFrGeNet.Configuration;

namespace CoFrGeNet.Training;

/// <summary>
/// The rule that skips a step whose loss or gradient stands out from those before it: the weights and the optimizer stay as they were, and the
/// run goes on with the next batch. Off unless one of the two limits is given.
/// </summary>
public sealed record SpikeConfig
{
    /// <summary>A step is skipped if its loss is above the mean of the window by more than this many standard deviations; 0: never.</summary>
    public double LossSigmas { get; init; }

    /// <summary>A step is skipped if its gradient norm, before clipping, is above the median of the window times this; 0: never.</summary>
    public double GradientFactor { get; init; }

    /// <summary>How many of the last steps taken the rule looks back on; before there are so many it skips nothing.</summary>
    public int Window { get; init; } = 100;

    /// <summary>The run stops when more steps than this are skipped in a row, since the training has then moved, not spiked.</summary>
    public int MostInARow { get; init; } = 5;

    /// <summary>Whether there is a rule at all.</summary>
    internal bool IsOn => LossSigmas > 0 || GradientFactor > 0;

    internal void Check(ConfigCheck at)
    {
        at.AtLeast(LossSigmas, 0, "lossSigmas");
        at.That(
            GradientFactor == 0 || (GradientFactor > 1 && double.IsFinite(GradientFactor)), "gradientFactor", $"{GradientFactor}", "0 (never) or a number above 1");
        at.Between(Window, 10, 10000, "window");
        at.AtLeast(MostInARow, 1, "mostInARow");
    }
}
