namespace CoFrGeNet.Evaluation;

/// <summary>Metrics of classifiers and regressors over whole sets, as GLUE uses them.</summary>
public static class ClassificationMetrics
{
    /// <summary>Share of right predictions.</summary>
    /// <param name="gold">The right classes.</param>
    /// <param name="predicted">The predicted ones.</param>
    public static double Accuracy(IReadOnlyList<int> gold, IReadOnlyList<int> predicted)
    {
        CheckSizes(gold.Count, predicted.Count);
        return (double)gold.Zip(predicted).Count(pair => pair.First == pair.Second) / gold.Count;
    }

    /// <summary>F1 of class 1: 2 tp / (2 tp + fp + fn), and 0 where there is nothing to find and nothing found.</summary>
    /// <param name="gold">The right classes.</param>
    /// <param name="predicted">The predicted ones.</param>
    public static double F1(IReadOnlyList<int> gold, IReadOnlyList<int> predicted)
    {
        CheckSizes(gold.Count, predicted.Count);
        var pairs = gold.Zip(predicted).ToArray();
        var truePositives = pairs.Count(pair => pair is { First: 1, Second: 1 });
        var wrong = pairs.Count(pair => (pair.First == 1) != (pair.Second == 1));
        return truePositives + wrong == 0 ? 0 : 2.0 * truePositives / ((2.0 * truePositives) + wrong);
    }

    /// <summary>
    /// Matthews' correlation for any number of classes: with s documents, c of them right, t_k of class k and p_k predicted as k,
    /// (c s - sum t p) / sqrt((s^2 - sum p^2)(s^2 - sum t^2)), and 0 where a factor is 0.
    /// </summary>
    /// <param name="gold">The right classes.</param>
    /// <param name="predicted">The predicted ones.</param>
    public static double MatthewsCorrelation(IReadOnlyList<int> gold, IReadOnlyList<int> predicted)
    {
        CheckSizes(gold.Count, predicted.Count);
        double size = gold.Count, right = gold.Zip(predicted).Count(pair => pair.First == pair.Second);
        double products = 0, squaresOfGold = 0, squaresOfPredicted = 0;
        foreach (var k in gold.Concat(predicted).Distinct())
        {
            double t = gold.Count(value => value == k), p = predicted.Count(value => value == k);
            products += t * p;
            squaresOfGold += t * t;
            squaresOfPredicted += p * p;
        }

        var scale = Math.Sqrt(((size * size) - squaresOfPredicted) * ((size * size) - squaresOfGold));
        return scale == 0 ? 0 : ((right * size) - products) / scale;
    }

    /// <summary>Pearson's correlation; 0 where one side is constant.</summary>
    /// <param name="gold">The right values.</param>
    /// <param name="predicted">The predicted ones.</param>
    public static double Pearson(IReadOnlyList<double> gold, IReadOnlyList<double> predicted)
    {
        CheckSizes(gold.Count, predicted.Count);
        // The mean of equal values may differ from them by rounding, and the correlation would be that of the rounding.
        if (gold.All(value => value.Equals(gold[0])) || predicted.All(value => value.Equals(predicted[0])))
        {
            return 0;
        }

        double meanGold = gold.Average(), meanPredicted = predicted.Average();
        double covariance = 0, varianceGold = 0, variancePredicted = 0;
        for (var i = 0; i < gold.Count; i++)
        {
            double g = gold[i] - meanGold, p = predicted[i] - meanPredicted;
            covariance += g * p;
            varianceGold += g * g;
            variancePredicted += p * p;
        }

        var scale = Math.Sqrt(varianceGold * variancePredicted);
        return scale == 0 ? 0 : covariance / scale;
    }

    /// <summary>Spearman's correlation: Pearson's of the ranks, equal values sharing their mean rank.</summary>
    /// <param name="gold">The right values.</param>
    /// <param name="predicted">The predicted ones.</param>
    public static double Spearman(IReadOnlyList<double> gold, IReadOnlyList<double> predicted) => Pearson(Ranks(gold), Ranks(predicted));

    private static double[] Ranks(IReadOnlyList<double> values)
    {
        var order = Enumerable.Range(0, values.Count).OrderBy(i => values[i]).ToArray();
        var ranks = new double[values.Count];
        for (var first = 0; first < order.Length;)
        {
            var end = first + 1;
            while (end < order.Length && values[order[end]].Equals(values[order[first]]))
            {
                end++;
            }

            for (var i = first; i < end; i++)
            {
                ranks[order[i]] = (first + end - 1) / 2.0;
            }

            first = end;
        }

        return ranks;
    }

    private static void CheckSizes(int gold, int predicted)
    {
        ArgumentOutOfRangeException.ThrowIfZero(gold);
        ArgumentOutOfRangeException.ThrowIfNotEqual(predicted, gold);
    }
}
