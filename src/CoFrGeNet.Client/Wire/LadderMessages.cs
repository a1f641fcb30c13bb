namespace CoFrGeNet.Client;

/// <summary>The body of <c>POST /v1/ladders</c> and <c>POST /v1/ladders/curve</c>.</summary>
public sealed record LadderRequest
{
    /// <summary>The model's name; may be absent where only one is served.</summary>
    public string? Model { get; init; }

    /// <summary>The text that the model reads.</summary>
    public string? Prompt { get; init; }

    /// <summary>For a curve: the layer, from 0.</summary>
    public int? Layer { get; init; }

    /// <summary>For a curve: the part of the layer, <c>mixer</c> or <c>feed-forward</c>, which is the default.</summary>
    public string? Part { get; init; }

    /// <summary>For a curve: the ladder, from 0.</summary>
    public int? Ladder { get; init; }
}

/// <summary>What a prompt does with the ladders of a model.</summary>
/// <param name="Layers">One entry a layer with ladders.</param>
public sealed record LadderReport(IReadOnlyList<LadderLayer> Layers);

/// <summary>What a prompt does with the ladders of a layer.</summary>
/// <param name="Index">The layer, from 0.</param>
/// <param name="Part">Where in the layer they are.</param>
/// <param name="Ladders">How many there are.</param>
/// <param name="Depth">Their depth.</param>
/// <param name="ClippedShare">Share of their outputs that lay outside the range seen in training.</param>
public sealed record LadderLayer(int Index, string Part, int Ladders, int Depth, double ClippedShare);

/// <summary>A ladder as a function of how far its input at the last token is scaled.</summary>
/// <param name="Points">The function.</param>
/// <param name="Here">Its value for the input itself, t = 1.</param>
/// <param name="Low">Lower end of the range seen in training, or null.</param>
/// <param name="High">Upper end.</param>
public sealed record LadderCurveReport(IReadOnlyList<LadderPoint> Points, float Here, float? Low, float? High);

/// <summary>A point of a function.</summary>
/// <param name="T">The scale.</param>
/// <param name="Y">The value.</param>
public sealed record LadderPoint(float T, float Y);
