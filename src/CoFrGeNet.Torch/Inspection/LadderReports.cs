using CoFrGeNet.Configuration;
using CoFrGeNet.ContinuedFractions;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>What the ladders of a layer did on a text.</summary>
/// <param name="Name">The layer's module name.</param>
/// <param name="Depth">Depth d of its ladders.</param>
/// <param name="GuardedShare">Share of denominators with |K_d| below the guard's epsilon, where the guard changes the value noticeably.</param>
/// <param name="ClippedShare">Share of outputs outside the range that their ladder took in training.</param>
/// <param name="MinDenominator">Smallest |K_d|.</param>
/// <param name="MaxOutput">Largest |f| before clipping.</param>
/// <param name="Denominators">Quantiles of K_d.</param>
/// <param name="Outputs">Quantiles of f before clipping.</param>
/// <param name="Ladders">Each ladder.</param>
public sealed record LadderLayerReport(
    string Name,
    int Depth,
    double GuardedShare,
    double ClippedShare,
    double MinDenominator,
    double MaxOutput,
    Quantiles Denominators,
    Quantiles Outputs,
    IReadOnlyList<LadderReport> Ladders);

/// <summary>What one ladder did on a text.</summary>
/// <param name="Index">Its number in the layer, from 0; of CAttnU twice the position and the ensemble, of elementwise ladders ladder times width and the coordinate.</param>
/// <param name="GuardedShare">Share of denominators with |K_d| below the guard's epsilon.</param>
/// <param name="ClippedShare">Share of outputs outside the trained range.</param>
/// <param name="MinDenominator">Smallest |K_d|.</param>
/// <param name="MaxOutput">Largest |f| before clipping.</param>
/// <param name="Denominators">Quantiles of K_d.</param>
/// <param name="Outputs">Quantiles of f before clipping.</param>
public sealed record LadderReport(
    int Index, double GuardedShare, double ClippedShare, double MinDenominator, double MaxOutput, Quantiles Denominators, Quantiles Outputs);

/// <summary>Quantiles of a distribution, at 1, 25, 50, 75 and 99 percent.</summary>
/// <param name="P01">1 percent lie below.</param>
/// <param name="P25">A quarter lies below.</param>
/// <param name="P50">The median.</param>
/// <param name="P75">Three quarters lie below.</param>
/// <param name="P99">99 percent lie below.</param>
public sealed record Quantiles(double P01, double P25, double P50, double P75, double P99)
{
    internal static Quantiles Of(Tensor values)
    {
        using var scope = NewDisposeScope();
        // torch.quantile takes no more than 16 million values.
        var sorted = values.flatten().sort().Values;
        double At(double share) => sorted[(long)Math.Round(share * (sorted.shape[0] - 1))].item<double>();
        return new Quantiles(At(0.01), At(0.25), At(0.5), At(0.75), At(0.99));
    }
}

/// <summary>One ladder along its main input direction.</summary>
/// <param name="Function">Its rational function in t, without the guard.</param>
/// <param name="Guard">How its pole is guarded.</param>
/// <param name="Explained">Share of the variance of its partial denominators that lies along this line, 0 to 1.</param>
/// <param name="Places">Where the samples of the text lie, in standard deviations.</param>
/// <param name="Outputs">What the ladder gives there, off the line too.</param>
public sealed record LadderLine(LadderPolynomials Function, PoleGuard Guard, double Explained, IReadOnlyList<double> Places, IReadOnlyList<double> Outputs)
{
    /// <summary>The value on the line with the guard in place.</summary>
    /// <param name="t">Place on the line.</param>
    public double Guarded(double t)
    {
        var denominator = Function.DenominatorAt(t);
        var numerator = 0.0;
        for (var i = Function.Numerator.Count - 1; i >= 0; i--)
        {
            numerator = (numerator * t) + Function.Numerator[i];
        }

        return Guard switch
        {
            SmoothGuard smooth => numerator * denominator / ((denominator * denominator) + (smooth.Epsilon * smooth.Epsilon)),
            ClampGuard clamp => numerator / (Math.Max(Math.Abs(denominator), clamp.Epsilon) * (denominator < 0 ? -1 : 1)),
            _ => numerator / denominator,
        };
    }
}
