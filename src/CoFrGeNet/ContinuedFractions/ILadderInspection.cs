namespace CoFrGeNet.ContinuedFractions;

/// <summary>Models whose ladders can be looked at while they read a text.</summary>
public interface ILadderInspection
{
    /// <summary>Whether there are any.</summary>
    public bool HasLadders { get; }

    /// <summary>Looks at the ladders of all layers.</summary>
    /// <param name="tokens">The text's ids, one token up to the context's length.</param>
    /// <returns>One entry for each part with ladders, from the first layer on; empty where the model has none.</returns>
    public IReadOnlyList<LadderUse> InspectLadders(ReadOnlyMemory<int> tokens);

    /// <summary>One ladder as a function of how far its input at the last token is scaled: a_k(t) = t a_k + b_k.</summary>
    /// <param name="tokens">The text's ids.</param>
    /// <param name="place">Which ladder: layer and part are those of one of <see cref="InspectLadders"/>.</param>
    /// <param name="scales">The scales t.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such ladder.</exception>
    public LadderCurve InspectLadder(ReadOnlyMemory<int> tokens, LadderPlace place, ReadOnlySpan<float> scales);
}

/// <summary>Where a ladder is.</summary>
/// <param name="Layer">The layer, from 0.</param>
/// <param name="Part">The part of the layer, <see cref="LadderUse.Mixer"/> or <see cref="LadderUse.FeedForward"/>.</param>
/// <param name="Ladder">Its number in the part, from 0.</param>
public sealed record LadderPlace(int Layer, string Part, int Ladder);

/// <summary>What a text does with the ladders of a part of a layer.</summary>
/// <param name="Layer">The layer, from 0.</param>
/// <param name="Part">Where in the layer they are: <see cref="Mixer"/> or <see cref="FeedForward"/>.</param>
/// <param name="Ladders">How many there are.</param>
/// <param name="Depth">Their depth d.</param>
/// <param name="Outputs">Outputs in the text: ladders times tokens.</param>
/// <param name="Clipped">How many of them lay outside the range seen in training, and were clipped to it.</param>
public sealed record LadderUse(int Layer, string Part, int Ladders, int Depth, long Outputs, long Clipped)
{
    /// <summary>Ladders of the mixer: of CAttnM one head after the other, of CAttnU its two ensembles with a ladder for each channel.</summary>
    public const string Mixer = "mixer";

    /// <summary>Ladders of the feed-forward.</summary>
    public const string FeedForward = "feed-forward";

    /// <summary>Share of the outputs that were clipped.</summary>
    public double ClippedShare => Outputs == 0 ? 0 : (double)Clipped / Outputs;
}

/// <summary>A ladder as a function of one scale.</summary>
/// <param name="Values">The outputs before clipping, one a scale.</param>
/// <param name="Here">The output for the input itself, t = 1, before clipping.</param>
/// <param name="Low">Lower end of the range seen in training; null: nothing is clipped.</param>
/// <param name="High">Upper end.</param>
public sealed record LadderCurve(IReadOnlyList<float> Values, float Here, float? Low, float? High);
