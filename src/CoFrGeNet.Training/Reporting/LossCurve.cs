using ScottPlot;

namespace CoFrGeNet.Training;

/// <summary>One curve of a picture.</summary>
/// <param name="Label">Its name in the legend.</param>
/// <param name="Points">Tokens seen and loss.</param>
/// <param name="Dashed">Whether it is drawn thin and dashed, as training losses are.</param>
public sealed record LossSeries(string Label, IReadOnlyList<(long Tokens, double Loss)> Points, bool Dashed = false);

/// <summary>Draws losses over training tokens.</summary>
public static class LossCurve
{
    private static readonly Color[] Palette = [Color.FromHex("#4C6A92"), Color.FromHex("#D1603D"), Color.FromHex("#3C8D5A"), Color.FromHex("#8A5AA8")];

    /// <summary>Writes a PNG.</summary>
    /// <param name="path">The file.</param>
    /// <param name="title">Its title.</param>
    /// <param name="series">The curves; a dashed one takes the colour of the solid one with the same place among its kind.</param>
    public static void SavePng(string path, string title, IReadOnlyList<LossSeries> series)
    {
        using var plot = new Plot();
        int solid = 0, dashed = 0;
        foreach (var curve in series)
        {
            var number = curve.Dashed ? dashed++ : solid++;
            if (curve.Points.Count == 0)
            {
                continue;
            }

            var scatter = plot.Add.Scatter(
                curve.Points.Select(point => point.Tokens / 1000.0).ToArray(), curve.Points.Select(point => point.Loss).ToArray());
            scatter.LegendText = curve.Label;
            scatter.Color = Palette[number % Palette.Length].WithAlpha(curve.Dashed ? 0.35 : 1);
            scatter.LineWidth = curve.Dashed ? 1 : 2.5f;
            scatter.MarkerSize = curve.Dashed ? 0 : 6;
        }

        plot.Title(title);
        plot.XLabel("training tokens (thousands)");
        plot.YLabel("loss (nats per token)");
        plot.ShowLegend(Alignment.UpperRight);
        plot.SavePng(path, 1000, 600);
    }
}
