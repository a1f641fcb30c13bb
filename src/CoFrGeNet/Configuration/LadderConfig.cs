using System.Text.Json.Serialization;
using CoFrGeNet.ContinuedFractions;

namespace CoFrGeNet.Configuration;

/// <summary>What a ladder's partial denominators are made of.</summary>
[JsonConverter(typeof(CamelCaseEnumConverter<LadderKind>))]
public enum LadderKind
{
    /// <summary>p-variate: a_k = w_k . x is a scalar a ladder, and V maps L ladder outputs to p coordinates (the paper, eq. 8).</summary>
    Projected,

    /// <summary>
    /// Univariate: a_k = w_k (.) x coordinate by coordinate, and V weighs L outputs a coordinate. The reading of the public
    /// re-implementation, kept because its checkpoints exist; the same parameter count, a far weaker function.
    /// </summary>
    Elementwise,
}

/// <summary>An ensemble of ladders: how many, how deep, how guarded and how initialised (PAPER section 1).</summary>
public sealed record LadderConfig
{
    /// <summary>Number of ladders L; at least 1. Of CAttnM: of each head.</summary>
    public required int Count { get; init; }

    /// <summary>Depth d, the number of partial denominators; 1 to 16.</summary>
    public required int Depth { get; init; }

    /// <summary>What the partial denominators are made of.</summary>
    public LadderKind Kind { get; init; } = LadderKind.Projected;

    /// <summary>How the poles are guarded.</summary>
    public PoleGuard Guard { get; init; } = PoleGuard.Default;

    /// <summary>Standard deviation of the initial ladder weights w_k; above 0.</summary>
    public double WeightStd { get; init; } = 0.05;

    /// <summary>Initial value of a learned bias on every partial denominator; absent: no bias, as in the paper's parameter count.</summary>
    public double? Bias { get; init; }

    /// <summary>Standard deviation of the initial V, the map from ladder outputs to the layer's output; 0 is allowed.</summary>
    public double OutputStd { get; init; } = 0.05;

    /// <summary>Whether outputs outside training are clipped to the range that each ladder took in training (PAPER section 1).</summary>
    public bool ClipToTrainedRange { get; init; } = true;

    /// <summary>
    /// Whether the L outputs of a token are divided by their root mean square (after clipping) before V, so that V sees the same size whatever the denominators do.
    /// Projected ladders of a Cffn only.
    /// </summary>
    public bool NormalizeOutputs { get; init; }

    /// <summary>Parameters of the partial denominators of one ensemble on an input of width p: L p d, and L d more with a bias.</summary>
    /// <param name="width">Input width p.</param>
    public long DenominatorParameters(int width) =>
        ((long)Count * width * Depth) + (Bias is null ? 0 : (long)Depth * (Kind == LadderKind.Projected ? Count : (long)Count * width));

    internal void Check(ConfigCheck at)
    {
        at.AtLeast(Count, 1, "count");
        at.Between(Depth, 1, 16, "depth");
        at.Between(Guard.Epsilon, LadderRange.MinEpsilon, LadderRange.MaxEpsilon, "guard.epsilon");
        at.Above(WeightStd, 0, "weightStd");
        at.AtLeast(OutputStd, 0, "outputStd");
        at.That(!NormalizeOutputs || Kind == LadderKind.Projected, "normalizeOutputs", "true with elementwise ladders", "true with projected ladders");
        at.That(Bias is null || double.IsFinite(Bias.Value), "bias", $"{Bias}", "a finite number");
    }
}
