namespace CoFrGeNet.Training.Tests.Reporting;

public sealed class LossCurveTests
{
    [Fact]
    public void Curves_are_told_apart_beyond_the_colours()
    {
        var styles = Enumerable.Range(0, LossCurve.MostCurves).Select(LossCurve.Style).ToList();

        // The study `c` has 27 arms in one picture.
        Assert.True(styles.Count >= 27);
        Assert.Equal(styles.Count, styles.Distinct().Count());
    }
}
