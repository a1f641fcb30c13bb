using System.Globalization;

namespace CoFrGeNet.Cli;

/// <summary>A curve of a chart.</summary>
/// <param name="Points">x and y; x does not fall.</param>
/// <param name="Color">A number that tells curves apart.</param>
/// <param name="Marker">Put on every point; null: the points are joined by a line of dots.</param>
internal sealed record ChartSeries(IReadOnlyList<(double X, double Y)> Points, int Color, char? Marker = null);

/// <summary>A place of a chart.</summary>
/// <param name="Symbol">What stands there.</param>
/// <param name="Color">The curve that it belongs to; null: none.</param>
internal readonly record struct ChartCell(char Symbol, int? Color);

/// <summary>Draws curves with characters. Lines are dots of the Braille block, two wide and four high in each place.</summary>
internal static class LossChart
{
    private const char EmptyBraille = '\u2800';

    // Of the values of all columns, so that a single spike does not press all others to the bottom.
    private const double HighestShare = 0.98;
    private const int AxisWidth = 9;

    // The bit of a dot by its row and column: the block counts the upper three rows first, column by column.
    private static readonly int[,] Bits = { { 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 }, { 0x40, 0x80 } };

    /// <summary>Draws a chart.</summary>
    /// <param name="series">The curves; later ones are drawn over earlier ones.</param>
    /// <param name="width">Columns of the whole chart; at least 20.</param>
    /// <param name="height">Rows of the plot, without the two below it; at least 2.</param>
    /// <param name="unit">What x counts.</param>
    /// <returns>The rows; empty when there is no point at all.</returns>
    public static IReadOnlyList<ChartCell[]> Draw(IReadOnlyList<ChartSeries> series, int width, int height, string unit)
    {
        var plotWidth = width - AxisWidth;
        var most = series.SelectMany(curve => curve.Points).Select(point => point.X).DefaultIfEmpty(0).Max();
        var curves = series.Select(curve => curve.Marker is null ? curve with { Points = Average(curve.Points, plotWidth * 2, most) } : curve).ToArray();
        var values = curves.SelectMany(curve => curve.Points).Select(point => point.Y).Order().ToArray();
        if (values.Length == 0)
        {
            return [];
        }

        var (low, high) = (values[0], values[(int)Math.Ceiling((values.Length - 1) * HighestShare)]);
        if (high - low < 1e-9)
        {
            (low, high) = (low - 0.5, high + 0.5);
        }

        var plot = new ChartCell[height, plotWidth];
        foreach (var curve in curves)
        {
            var places = curve.Points.Select(point => (
                X: Place(point.X, 0, most, plotWidth * 2), Y: (height * 4) - 1 - Place(Math.Min(point.Y, high), low, high, height * 4))).ToArray();
            if (curve.Marker is { } marker)
            {
                foreach (var (x, y) in places)
                {
                    plot[y / 4, x / 2] = new ChartCell(marker, curve.Color);
                }
            }
            else
            {
                Join(plot, places, curve.Color);
            }
        }

        return [.. Enumerable.Range(0, height).Select(row => Row(plot, row, low, high)), .. Axis(plotWidth, most, unit)];
    }

    // The mean of all points that fall into one column of dots.
    private static List<(double X, double Y)> Average(IReadOnlyList<(double X, double Y)> points, int columns, double most) =>
        [.. points.GroupBy(point => Place(point.X, 0, most, columns)).Select(group => (group.Average(point => point.X), group.Average(point => point.Y)))];

    private static int Place(double value, double low, double high, int count) =>
        high <= low ? 0 : Math.Clamp((int)((value - low) / (high - low) * (count - 1)), 0, count - 1);

    private static void Join(ChartCell[,] plot, (int X, int Y)[] places, int color)
    {
        for (var i = 0; i < places.Length; i++)
        {
            var (from, to) = (places[Math.Max(0, i - 1)], places[i]);
            var steps = Math.Max(1, Math.Max(Math.Abs(to.X - from.X), Math.Abs(to.Y - from.Y)));
            for (var step = 0; step <= steps; step++)
            {
                var x = from.X + ((to.X - from.X) * step / steps);
                var y = from.Y + ((to.Y - from.Y) * step / steps);
                ref var cell = ref plot[y / 4, x / 2];
                var before = cell.Symbol >= EmptyBraille ? cell.Symbol - EmptyBraille : 0;
                cell = new ChartCell((char)(EmptyBraille | before | Bits[y % 4, x % 2]), color);
            }
        }
    }

    private static ChartCell[] Row(ChartCell[,] plot, int row, double low, double high)
    {
        var height = plot.GetLength(0);
        var isLabelled = row % 4 == 0 || row == height - 1;
        var value = high - ((high - low) * row / Math.Max(1, height - 1));
        var label = isLabelled ? value.ToString("F3", CultureInfo.InvariantCulture).PadLeft(AxisWidth - 2) + " ┤" : " │".PadLeft(AxisWidth);
        return
        [
            .. Plain(label[^AxisWidth..]),
            .. Enumerable.Range(0, plot.GetLength(1)).Select(column => plot[row, column] is { Symbol: not '\0' } cell ? cell : new ChartCell(' ', null)),
        ];
    }

    private static IEnumerable<ChartCell[]> Axis(int plotWidth, double most, string unit)
    {
        yield return [.. Plain(" └".PadLeft(AxisWidth) + new string('─', plotWidth))];
        yield return [.. Plain("0".PadLeft(AxisWidth) + $"{Amounts.Count(most)} {unit}".PadLeft(plotWidth))];
    }

    private static IEnumerable<ChartCell> Plain(string text) => text.Select(symbol => new ChartCell(symbol, null));
}
