using System.Globalization;
using CoFrGeNet.Training;
using Spectre.Console;
using Spectre.Console.Rendering;
using PlainText = Spectre.Console.Text;

namespace CoFrGeNet.Cli;

/// <summary>What watch shows: the curves of all runs in one chart, and a table with a column for each run.</summary>
internal static class WatchView
{
    private const int ChartHeight = 14;
    private const int ShownMessages = 4;
    private const char OnlyMarker = '●';

    private static readonly Color[] Palette = [Color.DodgerBlue1, Color.Orange1, Color.Green3, Color.MediumOrchid, Color.Red1, Color.Gold1];

    /// <summary>Builds the view.</summary>
    /// <param name="runs">The runs.</param>
    /// <param name="width">Columns to fill.</param>
    public static IRenderable Build(IReadOnlyList<WatchedRun> runs, int width)
    {
        var rows = new List<IRenderable>();
        var chart = LossChart.Draw(Series(runs), Math.Max(40, width), ChartHeight, "tokens");
        rows.AddRange(chart.Count == 0 ? [new PlainText("no step has been logged yet")] : chart.Select(Line));
        if (chart.Count > 0)
        {
            rows.Add(new PlainText($"loss in nats per token: the line is training, {Markers(runs)} is validation"));
        }

        rows.Add(Table(runs));
        foreach (var run in runs)
        {
            rows.AddRange(run.Metrics.Messages.TakeLast(ShownMessages).Select(message => new PlainText($"{Prefix(runs, run)}step {message.Step}: {message.Text}")));
            if (run.Status == RunStatus.Stopped)
            {
                rows.Add(new PlainText($"{Prefix(runs, run)}not running; go on with: cofrgenet train --out {run.Path} --resume"));
            }
        }

        return new Rows(rows);
    }

    /// <summary>One line on a run, for where there is no terminal.</summary>
    /// <param name="run">The run.</param>
    public static string Describe(WatchedRun run) => run.Last is not { } last
        ? $"{run.Name}: {Status(run)}, no step has been logged yet"
        : string.Create(
            CultureInfo.InvariantCulture,
            $"{run.Name}: {Status(run)}, step {last.Step}/{run.Config.Training.Steps}  {Amounts.Count(last.Tokens)} tokens  loss {last.Loss:F4}  validation {Loss(run.LastEvaluation)}  {last.TokensPerSecond:N0} tokens/s  {Left(run)} left");

    private static List<ChartSeries> Series(IReadOnlyList<WatchedRun> runs) =>
    [
        .. runs.Select((run, i) => new ChartSeries([.. run.Metrics.Steps.Select(step => ((double)step.Tokens, step.Loss))], i)),
        .. runs.Select((run, i) => new ChartSeries(
            [.. run.Metrics.Evaluations.Select(evaluation => ((double)run.TokensAt(evaluation.Step), evaluation.ValidationLoss))], i, Marker(runs, i))),
    ];

    // Letters tell runs apart where there are no colours.
    private static char Marker(IReadOnlyList<WatchedRun> runs, int number) => runs.Count == 1 ? OnlyMarker : (char)('a' + (number % 26));

    private static string Markers(IReadOnlyList<WatchedRun> runs) =>
        runs.Count == 1 ? $"{OnlyMarker}" : string.Join(", ", runs.Select((run, i) => $"{Marker(runs, i)} ({run.Name})"));

    private static string Prefix(IReadOnlyList<WatchedRun> runs, WatchedRun run) => runs.Count == 1 ? string.Empty : run.Name + ": ";

    private static Paragraph Line(ChartCell[] cells)
    {
        var line = new Paragraph();
        foreach (var cell in cells)
        {
            line.Append($"{cell.Symbol}", cell.Color is { } color ? new Style(Palette[color % Palette.Length]) : Style.Plain);
        }

        return line;
    }

    private static Table Table(IReadOnlyList<WatchedRun> runs)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumn(new TableColumn(string.Empty).NoWrap());
        foreach (var (run, i) in runs.Select((run, i) => (run, i)))
        {
            table.AddColumn(new TableColumn(new PlainText(run.Name, new Style(Palette[i % Palette.Length]))).RightAligned());
        }

        void Row(string title, Func<WatchedRun, string> cell) => table.AddRow([new PlainText(title), .. runs.Select(run => new PlainText(cell(run)))]);
        Row("state", Status);
        Row("step", run => $"{run.Last?.Step ?? 0} of {run.Config.Training.Steps}");
        Row("tokens", run => $"{Amounts.Count(run.Last?.Tokens ?? 0)} of {Amounts.Count(run.TotalTokens)}");
        Row("tokens/s", run => Number(run.Last?.TokensPerSecond, "N0"));
        Row("time left", Left);
        Row("training loss", run => Number(run.Last?.Loss, "F4"));
        Row("validation loss", run => Loss(run.LastEvaluation));
        Row("best", run => run.Best is { } best ? $"{Loss(best)} at step {best.Step}" : "-");
        Row("learning rate", run => Number(run.Last?.LearningRate, "G3"));
        Row("gradient norm", run => $"{Number(run.Last?.GradientNorm, "G3")}, at most {Number(run.Metrics.MaxGradientNorm, "G3")}");
        if (runs.Any(run => run.Last?.Levels is not null))
        {
            Row("ladder levels", run => run.Last?.Levels is { } levels ? $"{run.Last.ActiveLevels} of {levels}" : "all");
        }

        Row("skipped steps", run => $"{run.Metrics.SkippedSteps}");
        Row("last checkpoint", run => run.LastCheckpoint ?? "-");
        return table;
    }

    private static string Status(WatchedRun run) => run.Status.ToString().ToLowerInvariant();

    private static string Left(WatchedRun run) => run.SecondsLeft is { } left ? Amounts.Duration(left) : "-";

    private static string Loss(EvaluatedStep? evaluation) => Number(evaluation?.ValidationLoss, "F4");

    private static string Number(double? value, string format) => value?.ToString(format, CultureInfo.InvariantCulture) ?? "-";
}
