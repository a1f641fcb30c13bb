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
    // The first four are the quickstart's.
    private static readonly Color[] Palette =
    [
        .. new[] { "#4C6A92", "#D1603D", "#3C8D5A", "#8A5AA8", "#C29B2B", "#2AA5B5", "#B8407F", "#6B5B4A", "#1F1F1F", "#9DBBE3", "#E8A58F", "#A3C45A" }.Select(Color.FromHex),
    ];

    // Curves beyond the colours begin anew with the next of these.
    private static readonly (LinePattern Pattern, MarkerShape Marker)[] Lines =
        [(LinePattern.Solid, MarkerShape.FilledCircle), (LinePattern.Dashed, MarkerShape.OpenSquare), (LinePattern.Dotted, MarkerShape.FilledTriangleUp)];

    // Pixels that an entry of the legend takes, and a little more.
    private const int LegendLine = 22;

    /// <summary>How many solid curves of one picture can be told apart.</summary>
    internal static int MostCurves => Palette.Length * Lines.Length;

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
            var (color, pattern, marker) = Style(number);
            scatter.Color = color.WithAlpha(curve.Dashed ? 0.35 : 1);
            scatter.LineWidth = curve.Dashed ? 1 : 2.5f;
            scatter.LinePattern = pattern;
            scatter.MarkerShape = marker;
            scatter.MarkerSize = curve.Dashed ? 0 : 6;
        }

        plot.Title(title);
        plot.XLabel("training tokens (thousands)");
        plot.YLabel("loss (nats per token)");
        // Beside the plot, where it covers no curve.
        plot.ShowLegend(Edge.Right);
        // A legend that is higher than the picture would begin a second column, beyond its edge.
        plot.SavePng(path, 1000, Math.Max(600, 100 + (LegendLine * series.Count(curve => curve.Points.Count > 0))));
    }

    /// <summary>What the solid curve with this number looks like.</summary>
    internal static (Color Color, LinePattern Pattern, MarkerShape Marker) Style(int number)
    {
        var (pattern, marker) = Lines[number / Palette.Length % Lines.Length];
        return (Palette[number % Palette.Length], pattern, marker);
    }
}
