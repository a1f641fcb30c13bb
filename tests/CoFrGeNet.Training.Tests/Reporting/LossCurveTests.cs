using System.Buffers.Binary;
using CoFrGeNet.Tests;

namespace CoFrGeNet.Training.Tests.Reporting;

public sealed class LossCurveTests
{
    [Theory]
    [InlineData(2, 600)]
    [InlineData(30, 760)]
    public void A_picture_is_high_enough_for_its_legend(int curves, int height)
    {
        using var folder = new TemporaryFolder();
        var file = folder.File("curves.png");
        LossCurve.SavePng(file, "test", [.. Enumerable.Range(0, curves).Select(i => new LossSeries($"arm {i}", [(1000, 4.0 + i), (2000, 3.0 + i)])), new LossSeries("nothing yet", [])]);

        // Width and height stand in the first block of a PNG, the highest byte first.
        var head = File.ReadAllBytes(file).AsSpan(16, 8);
        Assert.Equal(1000, BinaryPrimitives.ReadInt32BigEndian(head));
        Assert.Equal(height, BinaryPrimitives.ReadInt32BigEndian(head[4..]));
    }

    [Fact]
    public void Curves_are_told_apart_beyond_the_colours()
    {
        var styles = Enumerable.Range(0, LossCurve.MostCurves).Select(LossCurve.Style).ToList();

        // The study `c` has 27 arms in one picture.
        Assert.True(styles.Count >= 27);
        Assert.Equal(styles.Count, styles.Distinct().Count());
    }
}
