using CoFrGeNet.Generation;
using CoFrGeNet.Text;

namespace CoFrGeNet.Evaluation;

/// <summary>What an evaluation is doing.</summary>
/// <param name="Done">Distinct windows answered.</param>
/// <param name="All">Distinct windows of all tasks.</param>
public readonly record struct EvaluationProgress(int Done, int All);

/// <summary>Evaluates a model on tasks: all questions are made first, then asked together by length, then scored.</summary>
public sealed class Evaluator
{
    private readonly ILanguageModel _model;
    private readonly RequestEncoder _encoder;
    private readonly DatasetSource _data;
    private readonly EvaluationOptions _options;
    private readonly RequestCache _cache;

    /// <summary>Creates the evaluator.</summary>
    /// <param name="model">The model.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="data">Where records come from.</param>
    /// <param name="options">How tasks are evaluated.</param>
    /// <param name="cache">Answers so far; null: none, and none are kept.</param>
    /// <exception cref="UserErrorException">An option is out of range.</exception>
    public Evaluator(ILanguageModel model, ITokenizer tokenizer, DatasetSource data, EvaluationOptions options, RequestCache? cache = null)
    {
        _model = model;
        _encoder = new RequestEncoder(tokenizer, model.ContextLength);
        _data = data;
        _options = options.Validate(model.ContextLength);
        _cache = cache ?? new RequestCache();
    }

    /// <summary>Evaluates tasks.</summary>
    /// <param name="names">Names of tasks and groups.</param>
    /// <param name="progress">Hears after each batch.</param>
    /// <param name="prepared">Hears of each task's questions before any is asked.</param>
    /// <param name="stop">Asks for a stop; answers so far are in the cache.</param>
    /// <returns>The figures and what they rest on.</returns>
    /// <exception cref="UserErrorException">A task is unknown, or its data is missing or damaged.</exception>
    public EvaluationResults Run(
        IReadOnlyList<string> names, Action<EvaluationProgress>? progress = null, Action<TaskQuestions>? prepared = null, CancellationToken stop = default)
    {
        var tasks = TaskLibrary.Resolve(names).Select(Prepare).ToArray();
        foreach (var task in tasks)
        {
            prepared?.Invoke(task);
        }

        var requests = tasks.SelectMany(task => task.Samples.SelectMany(sample => sample.Requests)).ToArray();
        var windows = requests.Select(_encoder.Encode).ToArray();
        var answers = new LikelihoodScorer(_model, _options.BatchSize, _cache)
            .Score([.. windows.SelectMany(spans => spans)], (done, all) => progress?.Invoke(new(done, all)), stop);
        var scores = new Queue<RequestScore>();
        var next = 0;
        foreach (var spans in windows)
        {
            scores.Enqueue(answers.AsSpan(next, spans.Count).ToArray().Aggregate(RequestScore.Empty, (sum, score) => sum.Then(score)));
            next += spans.Count;
        }

        return new EvaluationResults(names, [.. tasks.Select(task => Score(task, scores))], _options);
    }

    private TaskQuestions Prepare(EvaluationTask task)
    {
        if (task is CorpusTask corpus)
        {
            task = corpus.With(_options.Window, _options.Stride);
        }

        var fewShot = task.AllowsFewShot ? _options.NumFewshot : 0;
        var split = _options.Split ?? task.Dataset.Split;
        // A file given for the task itself is taken for whatever split is asked for.
        var dataset = task.Dataset with { Split = split };
        var records = task.Prepare(_data.Read(task.Name, task.Group, dataset, split));
        var pool = fewShot == 0 ? [] : task.Prepare(_data.Read(task.Name, task.Group, dataset, task.Dataset.FewShotSplit));
        var sampler = new FewShotSampler(task, pool, fewShot, _options.Seed);
        var samples = records.Take(_options.Take(records.Count))
            .Select(record => new TaskSample(record, task.Requests(record, sampler.Prefix(record)))).ToArray();
        return new TaskQuestions(task, fewShot, split, records.Count, task.Protocol(_model.ContextLength, split), samples);
    }

    private TaskResult Score(TaskQuestions questions, Queue<RequestScore> scores)
    {
        var outcomes = questions.Samples.Select(sample =>
        {
            var answers = sample.Requests.Select(_ => scores.Dequeue()).ToArray();
            return new SampleResult(sample, answers, questions.Task.Score(sample.Record, answers));
        }).ToArray();
        var figures = questions.Task.Metrics.Select((metric, m) =>
        {
            var values = outcomes.Select(outcome => outcome.Values[m]).ToArray();
            return new MetricFigure(
                metric, Aggregations.Apply(metric.Aggregation, values), Aggregations.StandardError(metric.Aggregation, values, _options.BootstrapIters));
        }).ToArray();
        return new TaskResult(questions, figures, outcomes);
    }
}

/// <summary>A record and the questions about it.</summary>
/// <param name="Record">The record.</param>
/// <param name="Requests">The questions.</param>
public sealed record TaskSample(DataRecord Record, IReadOnlyList<ScoringRequest> Requests);

/// <summary>The questions of a task.</summary>
/// <param name="Task">The task.</param>
/// <param name="FewShot">Examples before each question.</param>
/// <param name="Split">The split that is scored.</param>
/// <param name="RecordCount">Records in the split; <see cref="Samples"/> may be fewer.</param>
/// <param name="Protocol">How figures come about, or null where the task's name says it.</param>
/// <param name="Samples">The records that are scored.</param>
public sealed record TaskQuestions(
    EvaluationTask Task, int FewShot, string Split, int RecordCount, string? Protocol, IReadOnlyList<TaskSample> Samples);

/// <summary>A scored record.</summary>
/// <param name="Sample">The record and its questions.</param>
/// <param name="Answers">The model's answers.</param>
/// <param name="Values">The scores, one a metric of the task.</param>
public sealed record SampleResult(TaskSample Sample, IReadOnlyList<RequestScore> Answers, IReadOnlyList<MetricValue> Values);

/// <summary>One figure of a task.</summary>
/// <param name="Metric">Which metric.</param>
/// <param name="Value">The figure.</param>
/// <param name="StandardError">Its standard error, or null where there is none.</param>
public sealed record MetricFigure(TaskMetric Metric, double Value, double? StandardError);

/// <summary>The outcome of a task.</summary>
/// <param name="Questions">What was asked.</param>
/// <param name="Figures">Its figures.</param>
/// <param name="Samples">The records behind them.</param>
public sealed record TaskResult(TaskQuestions Questions, IReadOnlyList<MetricFigure> Figures, IReadOnlyList<SampleResult> Samples);
