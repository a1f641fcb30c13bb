namespace CoFrGeNet.Evaluation;

/// <summary>
/// LAMBADA: the last word of a passage after the rest of it. acc: each of its tokens is the most likely one. perplexity: exp of the mean over
/// documents of the word's negative log-likelihood, all its tokens together.
/// </summary>
public sealed class LastWordTask : EvaluationTask
{
    /// <summary>Creates the task.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="version">Version of its prompt and metrics.</param>
    /// <param name="dataset">Its data, with the field <c>text</c>.</param>
    public LastWordTask(string name, string version, DatasetReference dataset)
        : base(name, version, dataset, new TaskMetric("perplexity", Aggregation.Perplexity, false), TaskMetric.Accuracy)
    {
    }

    /// <inheritdoc/>
    public override IReadOnlyList<ScoringRequest> Requests(DataRecord record, string prefix)
    {
        var (context, word) = Split(record);
        return [new ContinuationRequest(prefix + context, word)];
    }

    /// <inheritdoc/>
    public override string Example(DataRecord record)
    {
        var (context, word) = Split(record);
        // The target begins with the delimiter already, and the harness puts another one before it.
        return context + " " + word;
    }

    /// <inheritdoc/>
    public override string Target(DataRecord record) => Split(record).Word;

    /// <inheritdoc/>
    public override IReadOnlyList<MetricValue> Score(DataRecord record, IReadOnlyList<RequestScore> scores) =>
        [new(scores[0].LogLikelihood), new(scores[0].IsGreedy ? 1 : 0)];

    /// <summary>Splits a passage before the space of its last word.</summary>
    internal static (string Context, string Word) Split(string text)
    {
        var at = text.LastIndexOf(' ');
        return at < 0 ? (string.Empty, " " + text) : (text[..at], text[at..]);
    }

    private static (string Context, string Word) Split(DataRecord record) => Split(record.Text("text"));
}
