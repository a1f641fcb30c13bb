namespace CoFrGeNet.Evaluation;

/// <summary>
/// A task: how a record of its data becomes questions to a model, and the model's answers scores. Stateless; names, prompts, metrics and
/// versions are those of lm-evaluation-harness where it has the task.
/// </summary>
public abstract class EvaluationTask
{
    /// <summary>Creates the base.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="version">Version of its prompt and metrics.</param>
    /// <param name="dataset">Its data.</param>
    /// <param name="metrics">What it reports.</param>
    protected EvaluationTask(string name, string version, DatasetReference dataset, params IReadOnlyList<TaskMetric> metrics)
    {
        Name = name;
        Version = version;
        Dataset = dataset;
        Metrics = metrics;
    }

    /// <summary>Its name, for example <c>arc_easy</c>.</summary>
    public string Name { get; }

    /// <summary>The name of the group that gives its data files a name too, or null.</summary>
    public string? Group { get; init; }

    /// <summary>Version of its prompt and metrics.</summary>
    public string Version { get; }

    /// <summary>Its data.</summary>
    public DatasetReference Dataset { get; }

    /// <summary>What it reports, in this order.</summary>
    public IReadOnlyList<TaskMetric> Metrics { get; }

    /// <summary>Text before the few-shot examples; empty in most tasks.</summary>
    public string Description { get; init; } = string.Empty;

    /// <summary>Where the data has its own few-shot examples, the first ones are taken and not random ones.</summary>
    public bool TakesFirstExamples { get; init; }

    /// <summary>
    /// Whether examples are drawn from the split that is scored, or the harness names neither a test split nor one for examples: it then
    /// draws one more and leaves the scored record out.
    /// </summary>
    public bool DrawsOneMore { get; init; }

    /// <summary>Whether examples can stand before its questions.</summary>
    public virtual bool AllowsFewShot => true;

    /// <summary>How the figures came about, where a name alone does not say it: one line.</summary>
    public virtual string? Protocol(int contextLength, string split) => null;

    /// <summary>Rearranges records before they are counted: whole pages out of lines, for example.</summary>
    /// <param name="records">The records as they were read.</param>
    public virtual IReadOnlyList<DataRecord> Prepare(IReadOnlyList<DataRecord> records) => records;

    /// <summary>The questions about a record.</summary>
    /// <param name="record">The record.</param>
    /// <param name="prefix">Description and examples, to stand before the context.</param>
    public abstract IReadOnlyList<ScoringRequest> Requests(DataRecord record, string prefix);

    /// <summary>A record with its answer, as it stands among few-shot examples.</summary>
    /// <param name="record">The record.</param>
    public abstract string Example(DataRecord record);

    /// <summary>The right answer, for the log of samples.</summary>
    /// <param name="record">The record.</param>
    public abstract string Target(DataRecord record);

    /// <summary>The scores of a record, one a metric and in their order.</summary>
    /// <param name="record">The record.</param>
    /// <param name="scores">The answers to <see cref="Requests"/>.</param>
    public abstract IReadOnlyList<MetricValue> Score(DataRecord record, IReadOnlyList<RequestScore> scores);
}
