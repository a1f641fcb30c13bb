using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using CoFrGeNet.Evaluation;

namespace CoFrGeNet.Training;

/// <summary>A text, perhaps a second one, and its label.</summary>
/// <param name="Text">The text.</param>
/// <param name="Text2">The second text, or null.</param>
/// <param name="Label">The label as it was given.</param>
public sealed record LabeledText(string Text, string? Text2, string Label);

/// <summary>Examples of a classification task.</summary>
public static class ClassificationData
{
    /// <summary>Reads a file.</summary>
    /// <param name="path">A .tsv, .csv, .jsonl, .json or .parquet file, perhaps with .gz behind.</param>
    /// <param name="task">Where texts and labels stand.</param>
    /// <exception cref="UserErrorException">The file cannot be read, has not the columns, or holds examples without labels.</exception>
    public static IReadOnlyList<LabeledText> Read(string path, ClassificationTask task)
    {
        var names = task.Text.Concat(task.Text2).Concat(task.Label).Where(name => !int.TryParse(name, out _)).ToArray();
        // Only numbers: a table without a header, whatever stands in its first row.
        var records = RecordFile.Read(path, names.Length == 0 ? ["\0"] : names);
        if (records.Count == 0)
        {
            throw new UserErrorException($"{path} has no examples.");
        }

        var (text, label) = (Column(records[0], task.Text, "--text"), Column(records[0], task.Label, "--label"));
        var text2 = task.Text2.Count == 0 ? null : Column(records[0], task.Text2, "--text2");
        return [.. records.Select(record => new LabeledText(record.Text(text), text2 is null ? null : record.Text(text2), CheckLabel(record, record.Text(label))))];
    }

    /// <summary>Holds a share of the examples out. Equal texts fall on the same side, so nothing is learnt by heart and then asked.</summary>
    /// <param name="examples">All examples.</param>
    /// <param name="fraction">Share held out; above 0, below 1.</param>
    /// <param name="seed">Chooses which.</param>
    /// <exception cref="UserErrorException">One side is empty.</exception>
    public static (IReadOnlyList<LabeledText> Train, IReadOnlyList<LabeledText> Validation) Split(IReadOnlyList<LabeledText> examples, double fraction, int seed)
    {
        if (fraction is not (> 0 and < 1))
        {
            throw new UserErrorException($"The validation fraction is {fraction}; allowed is a number above 0 and below 1.");
        }

        var sides = examples.ToLookup(example => Position(example, seed) < fraction);
        var (train, validation) = (sides[false].ToArray(), sides[true].ToArray());
        return train.Length > 0 && validation.Length > 0
            ? (train, validation)
            : throw new UserErrorException($"{examples.Count} examples are too few to hold {fraction} of them out; give a validation file.");
    }

    /// <summary>The classes of training labels: by number where all are numbers, else by letter.</summary>
    /// <param name="examples">Training examples.</param>
    /// <exception cref="UserErrorException">There are fewer than two, or as many as in a regression.</exception>
    public static IReadOnlyList<string> Classes(IReadOnlyList<LabeledText> examples)
    {
        var labels = examples.Select(example => example.Label).Distinct().ToArray();
        if (labels.Length is < 2 or > 1000)
        {
            throw new UserErrorException($"The training examples have {labels.Length} different labels; allowed are 2 to 1000. Is --label the right column?");
        }

        return labels.All(label => int.TryParse(label, NumberStyles.Integer, CultureInfo.InvariantCulture, out _))
            ? [.. labels.OrderBy(label => int.Parse(label, CultureInfo.InvariantCulture))]
            : [.. labels.Order(StringComparer.Ordinal)];
    }

    private static string Column(DataRecord record, IReadOnlyList<string> names, string option) => names.FirstOrDefault(record.Has)
        ?? throw new UserErrorException(
            $"{record.Origin} has no column {string.Join(" or ", names.Select(name => $"'{name}'"))}; it has {string.Join(", ", record.Fields.Select(entry => entry.Key))}. Name the column with {option}.");

    // GLUE's test files carry -1: there is nothing to learn from or to compare with.
    private static string CheckLabel(DataRecord record, string label) => label is "-1" or ""
        ? throw new UserErrorException($"{record.Origin} has the label '{label}': a file without labels cannot be used.")
        : label;

    private static double Position(LabeledText example, int seed)
    {
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{seed}\n{example.Text}\n{example.Text2}"));
        return BitConverter.ToUInt64(hash) / (double)ulong.MaxValue;
    }
}
