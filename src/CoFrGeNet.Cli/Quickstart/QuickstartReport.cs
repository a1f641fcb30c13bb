using System.Globalization;
using CoFrGeNet.Training;
using Spectre.Console;

namespace CoFrGeNet.Cli;

/// <summary>The quickstart's results as a table, a picture and a document.</summary>
internal static class QuickstartReport
{
    /// <summary>Draws the losses of all contestants over tokens.</summary>
    /// <param name="path">The PNG file.</param>
    /// <param name="results">The results.</param>
    public static void SavePicture(string path, IReadOnlyList<ArmResult> results) => LossCurve.SavePng(
        path,
        $"{results[0].Tokens:N0} tokens each, same text, same order",
        [
            .. results.Select(result => new LossSeries($"{result.Name}, training", Points(result.TrainingCurve), Dashed: true)),
            .. results.Select(result => new LossSeries($"{result.Name}, validation", Points(result.ValidationCurve))),
        ]);

    /// <summary>The members of the JSON document.</summary>
    /// <param name="results">The results, the transformer first.</param>
    /// <param name="folder">Where everything was written.</param>
    /// <param name="seconds">How long it took.</param>
    /// <param name="description">What the text is.</param>
    public static object Document(IReadOnlyList<ArmResult> results, string folder, double seconds, string description) => new
    {
        Models = results.Select(result => new
        {
            result.Name,
            result.Parameters,
            result.BlockParameters,
            BlockShare = (double)result.BlockParameters / results[0].BlockParameters,
            ValidationLoss = Verb.Finite(result.ValidationLoss),
            Perplexity = Verb.Finite(result.Perplexity),
            BitsPerByte = Verb.Finite(result.BitsPerByte),
            TokensPerSecond = Verb.Finite(result.TokensPerSecond),
            MaxGradientNorm = Verb.Finite(result.MaxGradientNorm),
            result.PeakMemoryBytes,
            result.LearningRate,
            result.Steps,
            result.Tokens,
            result.SkippedSteps,
            result.Sample,
        }).ToArray(),
        Folder = folder,
        Seconds = seconds,
        Corpus = description,
    };

    /// <summary>Prints the table, the samples and where things are.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="isTerminal">Whether colours may be used.</param>
    /// <param name="results">The results, the transformer first.</param>
    /// <param name="folder">Where everything was written.</param>
    /// <param name="seconds">How long it took.</param>
    public static void Write(TextWriter writer, bool isTerminal, IReadOnlyList<ArmResult> results, string folder, double seconds)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = isTerminal ? AnsiSupport.Detect : AnsiSupport.No,
        });
        if (!isTerminal)
        {
            console.Profile.Width = 160;
        }

        console.Write(Table(results));
        foreach (var result in results)
        {
            console.Write(new Rule($"[bold]{Markup.Escape(result.Name)}[/] writes").LeftJustified());
            console.WriteLine(result.Sample);
        }

        console.Write(new Rule());
        console.WriteLine($"{seconds:F0} seconds. Loss curves, models and configurations are in {folder}");
        console.WriteLine($"Go on with: cofrgenet generate --model {Path.Combine(folder, results[^1].Name, "final")} --prompt \"Gets the\"");
    }

    private static Table Table(IReadOnlyList<ArmResult> results)
    {
        var table = new Table().Border(TableBorder.Rounded);
        foreach (var title in new[] { "model", "parameters", "in blocks", "validation loss", "perplexity", "bits/byte", "tokens/s", "max gradient", "peak memory" })
        {
            table.AddColumn(title == "model" ? new TableColumn(title) : new TableColumn(title).RightAligned());
        }

        foreach (var result in results)
        {
            var share = (double)result.BlockParameters / results[0].BlockParameters;
            string[] cells =
            [
                result.Name,
                $"{result.Parameters:N0}",
                $"{result.BlockParameters:N0} ({share:P0})",
                Text($"{result.ValidationLoss:F4}"),
                Text($"{result.Perplexity:F3}"),
                Text($"{result.BitsPerByte:F3}"),
                Text($"{result.TokensPerSecond:N0} ({result.TokensPerSecond / results[0].TokensPerSecond:F2}x)"),
                Text($"{result.MaxGradientNorm:F2}"),
                Amounts.Bytes(result.PeakMemoryBytes),
            ];
            table.AddRow([.. cells.Select(cell => new Markup(Markup.Escape(cell)))]);
        }

        return table;
    }

    private static string Text(FormattableString value) => value.ToString(CultureInfo.InvariantCulture);

    private static IReadOnlyList<(long Tokens, double Loss)> Points(IReadOnlyList<CurvePoint> points) => [.. points.Select(point => (point.Tokens, point.Loss))];
}
