using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace CoFrGeNet.Evaluation;

/// <summary>
/// wikitext: perplexity of whole pages. The model reads them with the corpus' tokenization undone; words (split at white space) and bytes
/// are counted on the original.
/// </summary>
public sealed partial class WikitextTask : EvaluationTask
{
    private const string Page = "page";

    /// <summary>Creates the task.</summary>
    /// <param name="dataset">Its data: pages in the field <c>page</c>, or lines in <c>text</c>, which are put together.</param>
    public WikitextTask(DatasetReference dataset)
        : base(
            "wikitext",
            "2",
            dataset,
            new TaskMetric("word_perplexity", Aggregation.WeightedPerplexity, false),
            new TaskMetric("byte_perplexity", Aggregation.WeightedPerplexity, false),
            new TaskMetric("bits_per_byte", Aggregation.BitsPerByte, false))
    {
    }

    /// <inheritdoc/>
    public override bool AllowsFewShot => false;

    /// <inheritdoc/>
    public override string? Protocol(int contextLength, string split) =>
        $"split {split}, whole pages detokenized; window {contextLength}, disjoint windows with one token of context, start-of-text token first; words and bytes of the original";

    /// <inheritdoc/>
    public override IReadOnlyList<DataRecord> Prepare(IReadOnlyList<DataRecord> records) =>
        records.All(record => record.Has(Page)) ? records : [.. Pages(records)];

    /// <inheritdoc/>
    public override IReadOnlyList<ScoringRequest> Requests(DataRecord record, string prefix) => [new RollingRequest(Detokenize(record.Text(Page)))];

    /// <inheritdoc/>
    public override string Example(DataRecord record) => throw new NotSupportedException("texts are scored without examples");

    /// <inheritdoc/>
    public override string Target(DataRecord record) => Detokenize(record.Text(Page));

    /// <inheritdoc/>
    public override IReadOnlyList<MetricValue> Score(DataRecord record, IReadOnlyList<RequestScore> scores)
    {
        var (likelihood, bytes) = (scores[0].LogLikelihood, Encoding.UTF8.GetByteCount(record.Text(Page)));
        return [new(likelihood, CountWords(record.Text(Page))), new(likelihood, bytes), new(likelihood, bytes)];
    }

    /// <summary>Pieces between runs of white space; space at an end makes an empty piece, which counts, as Python's re.split does.</summary>
    /// <param name="text">The text.</param>
    public static int CountWords(string text) => WhiteSpace().Count(text) + 1;

    /// <summary>Undoes the tokenization of WikiText: spaces before punctuation, around quotations, @-@ in numbers.</summary>
    /// <param name="text">The text as it is distributed.</param>
    public static string Detokenize(string text)
    {
        text = text.Replace("s '", "s'", StringComparison.Ordinal);
        text = SlashedNumber().Replace(text, "/'[0-9]/");
        text = Each(text, (" @-@ ", "-"), (" @,@ ", ","), (" @.@ ", "."), (" : ", ": "), (" ; ", "; "), (" . ", ". "), (" ! ", "! "), (" ? ", "? "), (" , ", ", "));
        text = Round().Replace(text, "($1)");
        text = Square().Replace(text, "[$1]");
        text = Curly().Replace(text, "{$1}");
        text = Double().Replace(text, "\"$1\"");
        text = Single().Replace(text, "'$1'");
        return Each(
            text, ("= = = =", "===="), ("= = =", "==="), ("= =", "=="), (" \u00b0 ", "\u00b0"), (" \n", "\n"), ("\n ", "\n"), (" N ", " 1 "), (" 's", "'s"));
    }

    private static string Each(string text, params ReadOnlySpan<(string Old, string New)> replacements)
    {
        foreach (var (old, with) in replacements)
        {
            text = text.Replace(old, with, StringComparison.Ordinal);
        }

        return text;
    }

    // A page begins at a heading of the first level: " = Title = ".
    private static IEnumerable<DataRecord> Pages(IReadOnlyList<DataRecord> lines)
    {
        var page = new StringBuilder();
        foreach (var record in lines)
        {
            var line = record.Text(RecordFile.TextField);
            if (Heading().IsMatch(line) && !string.IsNullOrWhiteSpace(page.ToString()))
            {
                yield return Of(page, record);
            }

            page.Append(line).Append(line.EndsWith('\n') ? string.Empty : "\n");
        }

        if (!string.IsNullOrWhiteSpace(page.ToString()))
        {
            yield return Of(page, lines[^1]);
        }
    }

    private static DataRecord Of(StringBuilder page, DataRecord end)
    {
        var record = new DataRecord(new JsonObject { [Page] = page.ToString() }, $"page before {end.Origin}");
        page.Clear();
        return record;
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex WhiteSpace();

    [GeneratedRegex(@"^\s*= [^=]*[^= ] =\s*$")]
    private static partial Regex Heading();

    [GeneratedRegex("/' [0-9]/")]
    private static partial Regex SlashedNumber();

    [GeneratedRegex(@"\(\s*([^\)]*?)\s*\)")]
    private static partial Regex Round();

    [GeneratedRegex(@"\[\s*([^\]]*?)\s*\]")]
    private static partial Regex Square();

    [GeneratedRegex(@"{\s*([^}]*?)\s*}")]
    private static partial Regex Curly();

    [GeneratedRegex("\"\\s*([^\"]*?)\\s*\"")]
    private static partial Regex Double();

    [GeneratedRegex(@"'\s*([^']*?)\s*'")]
    private static partial Regex Single();
}
