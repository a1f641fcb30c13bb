using CoFrGeNet.Configuration;

namespace CoFrGeNet.Training;

/// <summary>What a classifier learns: where texts and labels stand, and which figure chooses the best checkpoint.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Text">Names that the column of the text may have, the usual one first; numbers are columns of a table without a header.</param>
/// <param name="Text2">Names that the column of the second text may have; empty: there is none.</param>
/// <param name="Label">Names that the column of the label may have.</param>
/// <param name="IsRegression">Whether labels are numbers to be met, not classes.</param>
/// <param name="MainMetric">The figure that chooses the best checkpoint.</param>
public sealed record ClassificationTask(
    string Name, IReadOnlyList<string> Text, IReadOnlyList<string> Text2, IReadOnlyList<string> Label, bool IsRegression, string MainMetric)
{
    private static readonly string[] LabelNames = ["label", "gold_label", "Quality", "is_duplicate"];

    /// <summary>GLUE. Columns have the names of the Hugging Face hub, or those of GLUE's own files.</summary>
    public static IReadOnlyList<ClassificationTask> Glue { get; } =
    [
        new("cola", ["sentence", "4"], [], ["label", "2"], false, "mcc"),
        new("sst2", ["sentence", "1"], [], ["label", "2"], false, "accuracy"),
        new("mrpc", ["sentence1", "#1 String"], ["sentence2", "#2 String"], LabelNames, false, "accuracy"),
        new("qqp", ["question1"], ["question2"], LabelNames, false, "accuracy"),
        new("stsb", ["sentence1"], ["sentence2"], ["label", "score"], true, "pearson"),
        new("mnli", ["premise", "sentence1"], ["hypothesis", "sentence2"], LabelNames, false, "accuracy"),
        new("qnli", ["question"], ["sentence"], LabelNames, false, "accuracy"),
        new("rte", ["sentence1", "premise"], ["sentence2", "hypothesis"], LabelNames, false, "accuracy"),
        new("wnli", ["sentence1"], ["sentence2"], LabelNames, false, "accuracy"),
    ];

    /// <summary>Finds a task of GLUE.</summary>
    /// <param name="name">Its name.</param>
    /// <exception cref="UserErrorException">There is none of this name.</exception>
    public static ClassificationTask Get(string name) => Glue.FirstOrDefault(task => task.Name == name)
        ?? throw new UserErrorException(
            $"There is no task '{name}'; did you mean '{StrictJson.Nearest(name, Glue.Select(task => task.Name))}'? Known are {string.Join(", ", Glue.Select(task => task.Name))}; name the columns of any other data with --text and --label.");
}
