using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace CoFrGeNet.Evaluation;

/// <summary>What of a corpus is scored.</summary>
public enum CorpusUnit
{
    /// <summary>All of it as one text.</summary>
    Whole,

    /// <summary>Each record as a text of its own.</summary>
    Record,

    /// <summary>The last word of each record after the rest of it.</summary>
    LastWord,
}

/// <summary>How the perplexity of a corpus is measured.</summary>
public sealed record CorpusProtocol
{
    /// <summary>What is scored.</summary>
    public CorpusUnit Unit { get; init; }

    /// <summary>Most tokens that the model sees at once; absent: its context length.</summary>
    public int? Window { get; init; }

    /// <summary>New tokens of each window after the first; absent: as many as the window has.</summary>
    public int? Stride { get; init; }

    /// <summary>Whether the start-of-text token stands before each text.</summary>
    public bool StartToken { get; init; } = true;

    /// <summary>Whether the tokenization of WikiText is undone before the model reads it.</summary>
    public bool Detokenize { get; init; }

    /// <summary>Whether the ends of lines count as words, as in word-level language modelling.</summary>
    public bool CountLineEnds { get; init; }

    /// <summary>Whether lines are trimmed before they are joined.</summary>
    public bool TrimLines { get; init; }
}

/// <summary>
/// Perplexity of a corpus by token and by word. The harness has no such tasks; the protocol line says what stands behind the figures, since
/// perplexities by different protocols do not compare.
/// </summary>
public sealed partial class CorpusTask : EvaluationTask
{
    private readonly string _field;
    private readonly CorpusProtocol _protocol;

    /// <summary>Creates the task.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="dataset">Its data.</param>
    /// <param name="field">The field with the text; tables without a header have it in their first column.</param>
    /// <param name="protocol">How it is measured.</param>
    public CorpusTask(string name, DatasetReference dataset, string field, CorpusProtocol protocol)
        : base(
            name,
            "1",
            dataset,
            new TaskMetric("token_perplexity", Aggregation.WeightedPerplexity, false),
            new TaskMetric("word_perplexity", Aggregation.WeightedPerplexity, false),
            new TaskMetric("bits_per_byte", Aggregation.BitsPerByte, false))
    {
        _field = field;
        _protocol = protocol;
    }

    /// <inheritdoc/>
    public override bool AllowsFewShot => false;

    /// <summary>The same task with other windows.</summary>
    /// <param name="window">Most tokens at once, or null.</param>
    /// <param name="stride">New tokens a window, or null.</param>
    public CorpusTask With(int? window, int? stride) =>
        new(Name, Dataset, _field, _protocol with { Window = window ?? _protocol.Window, Stride = stride ?? _protocol.Stride });

    /// <inheritdoc/>
    public override string? Protocol(int contextLength, string split)
    {
        var window = _protocol.Window ?? contextLength;
        var stride = _protocol.Stride ?? window;
        var unit = _protocol.Unit switch
        {
            CorpusUnit.Whole => $"records joined to one text{(_protocol.TrimLines ? ", lines trimmed" : string.Empty)}",
            CorpusUnit.Record => "each record a text of its own",
            _ => "the last word of each record after the rest of it",
        };
        var words = _protocol.Unit == CorpusUnit.LastWord ? "one a record" : _protocol.CountLineEnds ? "split at white space, ends of lines too" : "split at white space";
        var windows = _protocol.Unit == CorpusUnit.LastWord ? $"window {contextLength}" : $"window {window}, stride {stride}";
        return $"split {split}, {unit}; detokenizer {(_protocol.Detokenize ? "wikitext" : "none")}; {windows}, start-of-text token {(_protocol.StartToken ? "yes" : "no")}; words {words}";
    }

    /// <inheritdoc/>
    public override IReadOnlyList<DataRecord> Prepare(IReadOnlyList<DataRecord> records)
    {
        if (_protocol.Unit != CorpusUnit.Whole)
        {
            return records;
        }

        var text = new StringBuilder();
        foreach (var record in records)
        {
            var line = _protocol.TrimLines ? Text(record).Trim() : Text(record);
            text.Append(line).Append(line.EndsWith('\n') ? string.Empty : "\n");
        }

        return [new DataRecord(new JsonObject { [_field] = text.ToString() }, records[0].Origin)];
    }

    /// <inheritdoc/>
    public override IReadOnlyList<ScoringRequest> Requests(DataRecord record, string prefix)
    {
        var text = _protocol.Detokenize ? WikitextTask.Detokenize(Text(record)) : Text(record);
        if (_protocol.Unit == CorpusUnit.LastWord)
        {
            var (context, word) = LastWordTask.Split(text);
            return [new ContinuationRequest(context, word)];
        }

        return [new RollingRequest(text) { Window = _protocol.Window, Stride = _protocol.Stride, StartToken = _protocol.StartToken }];
    }

    /// <inheritdoc/>
    public override string Example(DataRecord record) => throw new NotSupportedException("texts are scored without examples");

    /// <inheritdoc/>
    public override string Target(DataRecord record) => _protocol.Unit == CorpusUnit.LastWord ? LastWordTask.Split(Text(record)).Word : Text(record);

    /// <inheritdoc/>
    public override IReadOnlyList<MetricValue> Score(DataRecord record, IReadOnlyList<RequestScore> scores)
    {
        var text = Target(record);
        var words = Words().Count(text) + (_protocol.CountLineEnds ? text.Count(c => c == '\n') : 0);
        var (likelihood, tokens) = (scores[0].LogLikelihood, scores[0].Tokens);
        return [new(likelihood, tokens), new(likelihood, words), new(likelihood, Encoding.UTF8.GetByteCount(text))];
    }

    private string Text(DataRecord record) => record.Text(record.Has(_field) ? _field : record.Has(RecordFile.TextField) ? RecordFile.TextField : record.Has("1") ? "1" : _field);

    [GeneratedRegex(@"\S+")]
    private static partial Regex Words();
}
