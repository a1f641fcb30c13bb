using CoFrGeNet.Torch;
using ScottPlot;

namespace CoFrGeNet.Training;

/// <summary>Draws a ladder along its main input direction.</summary>
public static class LadderPlot
{
    private const int Points = 800;

    /// <summary>Writes a PNG: the function with and without its guard, its poles, and the samples of the text.</summary>
    /// <param name="path">The file.</param>
    /// <param name="title">Its title.</param>
    /// <param name="line">The ladder.</param>
    public static void SavePng(string path, string title, LadderLine line)
    {
        var (from, to) = Range(line);
        var places = Enumerable.Range(0, Points).Select(i => from + ((to - from) * i / (Points - 1))).ToArray();
        var guarded = places.Select(line.Guarded).ToArray();
        // Beyond this the unguarded function is on its way to a pole, and would press everything else flat.
        var limit = 2 * guarded.Concat(line.Outputs).Where(double.IsFinite).Select(Math.Abs).DefaultIfEmpty(1).Max();
        using var plot = new Plot();
        var samples = plot.Add.ScatterPoints(line.Places.ToArray(), line.Outputs.ToArray());
        samples.LegendText = "on the text";
        samples.Color = Color.FromHex("#8A8A8A").WithAlpha(0.25);
        samples.MarkerSize = 3;
        var bare = plot.Add.Scatter(places, [.. places.Select(line.Function.At).Select(value => Math.Abs(value) <= limit ? value : double.NaN)]);
        bare.LegendText = "without the guard";
        Style(bare, "#D1603D", 1.5f);
        var curve = plot.Add.Scatter(places, guarded);
        curve.LegendText = "the ladder";
        Style(curve, "#4C6A92", 2.5f);
        foreach (var pole in line.Function.Poles(from, to))
        {
            var mark = plot.Add.VerticalLine(pole, 1, Color.FromHex("#D1603D").WithAlpha(0.5));
            mark.LinePattern = LinePattern.Dashed;
        }

        plot.Title(title, 16);
        plot.XLabel("t: standard deviations along the main input direction");
        plot.YLabel("f");
        plot.ShowLegend(Alignment.UpperRight);
        plot.SavePng(path, 1000, 600);
    }

    private static void Style(ScottPlot.Plottables.Scatter scatter, string colour, float width)
    {
        scatter.Color = Color.FromHex(colour);
        scatter.LineWidth = width;
        scatter.MarkerSize = 0;
    }

    // Where the text lies, and a little beyond.
    private static (double From, double To) Range(LadderLine line)
    {
        double low = line.Places.Min(), high = line.Places.Max(), margin = Math.Max(0.5, (high - low) * 0.1);
        return (low - margin, high + margin);
    }
}
