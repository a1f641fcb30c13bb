using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Generation;

namespace CoFrGeNet.Server.Tests;

/// <summary>A babbling model that says of its ladders what tests expect: three layers of seven ladders, a quarter more clipped in each.</summary>
internal sealed class FakeLadderModel : ILanguageModel, ILadderInspection
{
    private readonly FakeModel _model = FakeModel.Babbling();
    private volatile bool _isHeld;

    public int VocabularySize => _model.VocabularySize;

    public int ContextLength => _model.ContextLength;

    public void Forward(IReadOnlyList<ReadOnlyMemory<int>> sequences, IReadOnlyList<TokenPosition> positions, LogitsReader reader) => _model.Forward(sequences, positions, reader);

    public IDecodingSession StartSession() => _model.StartSession();

    public bool HasLadders => true;

    /// <summary>Whether two passes ever overlapped.</summary>
    public bool Overlapped => _model.Overlapped;

    /// <summary>How often it was looked at.</summary>
    public int Looks { get; private set; }

    /// <summary>Lets those who look wait.</summary>
    public void Hold() => _isHeld = true;

    /// <summary>Lets them go on.</summary>
    public void Release() => _isHeld = false;

    public IReadOnlyList<LadderUse> InspectLadders(ReadOnlyMemory<int> tokens)
    {
        Looks++;
        while (_isHeld)
        {
            Thread.Sleep(1);
        }

        return Uses();
    }

    private static LadderUse[] Uses() => [.. Enumerable.Range(0, 3).Select(layer => new LadderUse(layer, LadderUse.FeedForward, 7, 2, 400, layer * 100))];

    public LadderCurve InspectLadder(ReadOnlyMemory<int> tokens, LadderPlace place, ReadOnlySpan<float> scales)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(place.Ladder, 6);
        var values = new float[scales.Length];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = Value(scales[i], place.Layer + place.Ladder + 1);
        }

        return new LadderCurve(values, Value(1, place.Layer + place.Ladder + 1), -0.4f, 0.5f);
    }

    private static float Value(float t, int n) => (t * n / 3) / ((t * t * n) + 1);
}
