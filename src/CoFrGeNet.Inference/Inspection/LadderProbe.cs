using CoFrGeNet.ContinuedFractions;

namespace CoFrGeNet.Inference;

/// <summary>
/// Looks at ladders while a pass runs them: how many outputs lie outside the range seen in training, and the input of one ladder at the last token.
/// </summary>
internal sealed class LadderProbe
{
    private readonly List<LadderUse> _uses = [];
    private readonly LadderPlace? _place;

    /// <summary>Counts, and follows one ladder.</summary>
    /// <param name="place">The ladder; null: none is followed.</param>
    public LadderProbe(LadderPlace? place = null) => _place = place;

    /// <summary>The layer that is being run.</summary>
    public int Layer { get; set; }

    /// <summary>The part of it that is being run.</summary>
    public string Part { get; set; } = LadderUse.Mixer;

    /// <summary>What was counted.</summary>
    public IReadOnlyList<LadderUse> Uses => _uses;

    /// <summary>The ladder that is followed, at the last token seen; null: there is none of this number.</summary>
    public LadderLine? Line { get; private set; }

    /// <summary>Takes the ladders of a row.</summary>
    /// <param name="count">How many.</param>
    /// <param name="depth">Their depth.</param>
    /// <param name="clipped">How many lay outside their range.</param>
    /// <param name="line">Gives the ladder of a number.</param>
    public void Add(int count, int depth, int clipped, Func<int, LadderLine> line)
    {
        var at = _uses.FindIndex(use => use.Layer == Layer && use.Part == Part);
        if (at < 0)
        {
            at = _uses.Count;
            _uses.Add(new LadderUse(Layer, Part, count, depth, 0, 0));
        }

        _uses[at] = _uses[at] with { Outputs = _uses[at].Outputs + count, Clipped = _uses[at].Clipped + clipped };
        if (_place is { Ladder: >= 0 } place && place.Layer == Layer && place.Part == Part && place.Ladder < count)
        {
            Line = line(place.Ladder);
        }
    }
}
