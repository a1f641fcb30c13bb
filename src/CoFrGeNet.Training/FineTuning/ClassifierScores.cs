using System.Globalization;
using CoFrGeNet.Evaluation;

namespace CoFrGeNet.Training;

/// <summary>How well a classifier does on examples.</summary>
/// <param name="Figures">accuracy, mcc and, for two classes, f1 of the second one; pearson and spearman of a regression.</param>
/// <param name="Predictions">What was predicted for each example, in their order: a class or a number.</param>
public sealed record ClassifierScores(IReadOnlyDictionary<string, double> Figures, IReadOnlyList<string> Predictions)
{
    /// <summary>Compares predictions with labels.</summary>
    /// <param name="classifier">The classifier.</param>
    /// <param name="examples">The examples.</param>
    /// <exception cref="UserErrorException">A label is none of the classes, or no number.</exception>
    public static ClassifierScores Of(SequenceClassifier classifier, IReadOnlyList<LabeledText> examples)
    {
        var classes = classifier.Config.Classes;
        var scores = classifier.Predict(examples);
        if (classes.Count == 0)
        {
            var (right, found) = (Numbers(examples), scores.Select(score => (double)score[0]).ToArray());
            return new ClassifierScores(
                new Dictionary<string, double> { ["pearson"] = ClassificationMetrics.Pearson(right, found), ["spearman"] = ClassificationMetrics.Spearman(right, found) },
                [.. found.Select(value => value.ToString("R", CultureInfo.InvariantCulture))]);
        }

        var gold = Indices(examples, classes);
        var predicted = scores.Select(score => Array.IndexOf(score, score.Max())).ToArray();
        var figures = new Dictionary<string, double> { ["accuracy"] = ClassificationMetrics.Accuracy(gold, predicted) };
        if (classes.Count == 2)
        {
            figures["f1"] = ClassificationMetrics.F1(gold, predicted);
        }

        figures["mcc"] = ClassificationMetrics.MatthewsCorrelation(gold, predicted);
        return new ClassifierScores(figures, [.. predicted.Select(index => classes[index])]);
    }

    /// <summary>The accuracy of always answering the most frequent class of the training examples.</summary>
    /// <param name="train">Training examples.</param>
    /// <param name="examples">The examples that are scored.</param>
    public static double Majority(IReadOnlyList<LabeledText> train, IReadOnlyList<LabeledText> examples)
    {
        var answer = train.GroupBy(example => example.Label).MaxBy(group => group.Count())!.Key;
        return (double)examples.Count(example => example.Label == answer) / examples.Count;
    }

    /// <summary>The labels as numbers of classes.</summary>
    internal static int[] Indices(IReadOnlyList<LabeledText> examples, IReadOnlyList<string> classes)
    {
        var numbers = classes.Select((name, i) => (name, i)).ToDictionary(entry => entry.name, entry => entry.i);
        return
        [
            .. examples.Select(example => numbers.TryGetValue(example.Label, out var index)
                ? index
                : throw new UserErrorException($"The label '{example.Label}' is none of the training labels {string.Join(", ", classes)}.")),
        ];
    }

    /// <summary>The labels as numbers.</summary>
    internal static double[] Numbers(IReadOnlyList<LabeledText> examples) =>
    [
        .. examples.Select(example => double.TryParse(example.Label, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number)
            ? number
            : throw new UserErrorException($"The label '{example.Label}' is no number, which a regression needs.")),
    ];
}
