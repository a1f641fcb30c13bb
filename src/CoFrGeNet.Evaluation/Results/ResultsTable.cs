using System.Globalization;
using System.Text;

namespace CoFrGeNet.Evaluation;

/// <summary>The table that lm-evaluation-harness prints, in Markdown.</summary>
public static class ResultsTable
{
    private const int LeastWidth = 3;

    private static readonly string[] Header = ["Tasks", "Version", "Filter", "n-shot", "Metric", "", "Value", "", "Stderr"];
    private static readonly bool[] IsRight = [false, true, false, true, false, false, true, false, true];

    /// <summary>The table.</summary>
    /// <param name="results">What it shows; members of a group stand below it, indented.</param>
    public static string Format(EvaluationResults results)
    {
        var rows = new List<string[]>();
        var shown = new HashSet<string>(StringComparer.Ordinal);
        foreach (var name in results.Names)
        {
            Add(results, name, 0, rows, shown);
        }

        var widths = Header.Select((title, c) => Math.Max(Math.Max(title.Length, LeastWidth), rows.Max(row => row[c].Length))).ToArray();
        var text = new StringBuilder();
        text.Append('|').AppendJoin('|', Header.Select((title, c) => Centre(title, widths[c]))).Append("|\n");
        text.Append('|').AppendJoin('|', widths.Select((width, c) => IsRight[c] ? new string('-', Math.Max(1, width - 1)) + ":" : new string('-', width))).Append("|\n");
        foreach (var row in rows)
        {
            Append(text, row, widths);
        }

        return text.ToString();
    }

    private static void Add(EvaluationResults results, string name, int depth, List<string[]> rows, HashSet<string> shown)
    {
        if (!shown.Add(name))
        {
            return;
        }

        var indent = depth == 0 ? string.Empty : new string(' ', depth) + "- ";
        if (TaskLibrary.FindGroup(name) is { } group)
        {
            var figures = results.Groups.First(result => result.Group.Name == name).Figures;
            AddFigures(rows, indent + group.Alias, group.Version, string.Empty, figures);
            foreach (var member in group.Members)
            {
                Add(results, member, depth + 1, rows, shown);
            }

            return;
        }

        var task = results.Tasks.First(result => result.Questions.Task.Name == name);
        AddFigures(rows, indent + Alias(task.Questions.Task), task.Questions.Task.Version, $"{task.Questions.FewShot}", task.Figures);
    }

    private static string Alias(EvaluationTask task) =>
        task.Group is { } group && task.Name.StartsWith(group + "_", StringComparison.Ordinal) ? task.Name[(group.Length + 1)..] : task.Name;

    private static void AddFigures(List<string[]> rows, string title, string version, string shots, IReadOnlyList<MetricFigure> figures)
    {
        for (var i = 0; i < figures.Count; i++)
        {
            var figure = figures[i];
            rows.Add(
            [
                i == 0 ? title : string.Empty, i == 0 ? version : string.Empty, "none", shots, figure.Metric.Name, figure.Metric.HigherIsBetter ? "\u2191" : "\u2193",
                Number(figure.Value), "\u00b1", figure.StandardError is { } error ? Number(error) : "N/A",
            ]);
        }
    }

    private static string Centre(string title, int width) => title.PadLeft(title.Length + ((width - title.Length) / 2)).PadRight(width);

    private static string Number(double value) => value.ToString("F4", CultureInfo.InvariantCulture);

    private static void Append(StringBuilder text, string[] row, int[] widths) =>
        text.Append('|').AppendJoin('|', row.Select((cell, c) => IsRight[c] ? cell.PadLeft(widths[c]) : cell.PadRight(widths[c]))).Append("|\n");
}
