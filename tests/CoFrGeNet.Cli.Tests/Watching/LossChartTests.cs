namespace CoFrGeNet.Cli.Tests.Watching;

public class LossChartTests
{
    [Fact]
    public void A_falling_line_goes_from_the_upper_left_to_the_lower_right()
    {
        var rows = Draw([new ChartSeries([.. Enumerable.Range(0, 100).Select(i => ((double)i, 5.0 - (i * 0.04)))], 0)], 29, 4);
        Assert.Equal(6, rows.Count);
        Assert.All(rows, row => Assert.Equal(29, row.Length));
        var plot = rows.Take(4).Select(row => row[9..]).ToArray();

        // 20 columns and 4 rows: each row takes a quarter of the columns, and no dot lies elsewhere.
        for (var row = 0; row < 4; row++)
        {
            var drawn = Enumerable.Range(0, 20).Where(column => plot[row][column] != ' ').ToArray();
            Assert.InRange(drawn.Min(), (row * 5) - 1, (row * 5) + 1);
            Assert.InRange(drawn.Max(), (row * 5) + 3, (row * 5) + 6);
            Assert.All(drawn, column => Assert.InRange(plot[row][column], '\u2801', '\u28FF'));
        }

        // Means of what falls into one column of dots, so not quite 5 and 1.04.
        Assert.StartsWith("  4.9", rows[0]);
        Assert.StartsWith("  1.0", rows[3]);
        Assert.EndsWith("99 tokens", rows[5]);
    }

    [Fact]
    public void Dots_of_the_braille_block_stand_where_they_belong()
    {
        // One place of two columns and four rows, with points in its lower left and upper right corner: dots 7 and 4 by Unicode's count.
        var drawn = Draw([new ChartSeries([(0, 0), (1, 3)], 0)], 10, 1)[0][9];
        Assert.Equal(0x40, drawn & 0x40);
        Assert.Equal(0x08, drawn & 0x08);
        Assert.Equal(0, drawn & (0x01 | 0x80));
    }

    [Fact]
    public void Markers_stand_on_their_points_and_a_spike_does_not_flatten_the_rest()
    {
        var points = Enumerable.Range(0, 200).Select(i => ((double)i, i == 50 ? 1e6 : 2.0 - (i * 0.005))).ToArray();
        var rows = Draw([new ChartSeries(points, 0), new ChartSeries([(199, 1.005)], 1, 'x')], 109, 8);
        Assert.DoesNotContain("1000000", rows[0]);
        Assert.Equal('x', rows[7][^1]);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    public void Few_points_and_equal_ones_are_drawn_too(int count)
    {
        var rows = Draw([new ChartSeries([.. Enumerable.Range(0, count).Select(i => ((double)i, 2.0))], 0)], 40, 5);
        Assert.Equal(count == 0 ? 0 : 7, rows.Count);
    }

    private static List<string> Draw(IReadOnlyList<ChartSeries> series, int width, int height) =>
        [.. LossChart.Draw(series, width, height, "tokens").Select(row => string.Concat(row.Select(cell => cell.Symbol)))];
}
