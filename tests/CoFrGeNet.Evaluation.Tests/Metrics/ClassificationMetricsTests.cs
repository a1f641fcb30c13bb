namespace CoFrGeNet.Evaluation.Tests;

public class ClassificationMetricsTests
{
    // tp 2, fp 1, fn 1, tn 4.
    private static readonly int[] Gold = [1, 1, 1, 0, 0, 0, 0, 0];
    private static readonly int[] Predicted = [1, 1, 0, 1, 0, 0, 0, 0];

    [Fact]
    public void A_constant_side_correlates_with_nothing_although_its_mean_is_rounded()
    {
        // 0.1 + 0.1 + 0.1 divided by 3 is not 0.1.
        Assert.Equal(0, ClassificationMetrics.Pearson([1, 2, 3], [0.1, 0.1, 0.1]));
        Assert.Equal(0, ClassificationMetrics.Pearson([0.1, 0.1, 0.1], [1, 2, 3.5]));
        Assert.Equal(0, ClassificationMetrics.Spearman([1, 2, 3.5], [0.1, 0.1, 0.1]));
    }

    [Fact]
    public void Binary_figures_equal_those_by_hand()
    {
        Assert.Equal(6 / 8.0, ClassificationMetrics.Accuracy(Gold, Predicted));
        Assert.Equal(4 / 6.0, ClassificationMetrics.F1(Gold, Predicted), 15);
        // (2 4 - 1 1) / sqrt(3 3 5 5)
        Assert.Equal(7 / 15.0, ClassificationMetrics.MatthewsCorrelation(Gold, Predicted), 15);
    }

    [Fact]
    public void Constant_predictions_have_no_correlation()
    {
        Assert.Equal(0, ClassificationMetrics.MatthewsCorrelation(Gold, [0, 0, 0, 0, 0, 0, 0, 0]));
        Assert.Equal(0, ClassificationMetrics.F1([0, 0], [0, 0]));
        Assert.Equal(0, ClassificationMetrics.Pearson([1, 2, 3], [5, 5, 5]));
        Assert.Equal(1, ClassificationMetrics.MatthewsCorrelation([0, 1, 2], [0, 1, 2]), 15);
    }

    [Fact]
    public void Three_classes_equal_the_figure_by_hand() =>
        // s 4, c 1, t (2, 1, 1), p (2, 1, 1): (1 4 - 6) / (16 - 6).
        Assert.Equal(-0.2, ClassificationMetrics.MatthewsCorrelation([0, 0, 1, 2], [0, 1, 2, 0]), 15);

    [Fact]
    public void Correlations_of_numbers_equal_those_by_hand()
    {
        // Deviations -1.5 -.5 .5 1.5 and -.5 -1.5 .5 1.5: products .75 + .75 + .25 + 2.25 = 4, squares 5 and 5.
        Assert.Equal(4 / 5.0, ClassificationMetrics.Pearson([1, 2, 3, 4], [2, 1, 3, 4]), 15);
        Assert.Equal(1, ClassificationMetrics.Spearman([1, 2, 3, 4], [1, 10, 100, 1000]), 15);
        // Ranks 0, 1.5, 1.5, 3 against 0, 1, 2, 3: 4.5 / sqrt(4.5 5).
        Assert.Equal(4.5 / Math.Sqrt(22.5), ClassificationMetrics.Spearman([1, 2, 2, 3], [1, 2, 3, 4]), 15);
    }
}
