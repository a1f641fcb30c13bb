using System.Text.Json.Nodes;

namespace CoFrGeNet.Evaluation;

/// <summary>The outcome of an evaluation in the layout of lm-evaluation-harness, and its groups.</summary>
public sealed class EvaluationResults
{
    private const string NotApplicable = "N/A";

    private readonly EvaluationOptions _options;

    internal EvaluationResults(IReadOnlyList<string> names, IReadOnlyList<TaskResult> tasks, EvaluationOptions options)
    {
        _options = options;
        Names = names;
        Tasks = tasks;
        Groups = [.. names.SelectMany(GroupsIn).Distinct().Select(name => Aggregate(TaskLibrary.FindGroup(name)!, tasks))];
    }

    /// <summary>What was asked for.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>The tasks.</summary>
    public IReadOnlyList<TaskResult> Tasks { get; }

    /// <summary>The groups, outer ones first.</summary>
    public IReadOnlyList<GroupResult> Groups { get; }

    /// <summary>The document: results, groups, configs, versions, n-shot, higher_is_better, n-samples, protocols, config.</summary>
    /// <param name="config">What is said about the model and the run, under <c>config</c>.</param>
    public JsonObject ToJson(JsonObject config)
    {
        var results = new JsonObject();
        var groups = new JsonObject();
        foreach (var group in Groups)
        {
            results[group.Group.Name] = Figures(group.Group.Alias, group.Figures);
            groups[group.Group.Name] = Figures(group.Group.Alias, group.Figures);
        }

        foreach (var task in Tasks)
        {
            results[task.Questions.Task.Name] = Figures(task.Questions.Task.Name, task.Figures);
        }

        var document = new JsonObject { ["results"] = results };
        if (Groups.Count > 0)
        {
            document["groups"] = groups;
            document["group_subtasks"] = ByName(Groups.Select(group => (group.Group.Name, (JsonNode?)List(group.Group.Members))));
        }

        document["configs"] = EachTask(Config);
        document["versions"] = ByName(
        [
            .. Groups.Select(group => (group.Group.Name, (JsonNode?)group.Group.Version)),
            .. Tasks.Select(task => (task.Questions.Task.Name, (JsonNode?)task.Questions.Task.Version)),
        ]);
        document["n-shot"] = EachTask(task => task.Questions.FewShot);
        document["higher_is_better"] = EachTask(task => ByName(task.Figures.Select(figure => (figure.Metric.Name, (JsonNode?)figure.Metric.HigherIsBetter))));
        document["n-samples"] = EachTask(task => new JsonObject { ["original"] = task.Questions.RecordCount, ["effective"] = task.Samples.Count });
        document["protocols"] = ByName(Tasks.Where(task => task.Questions.Protocol is not null).Select(task => (task.Questions.Task.Name, (JsonNode?)task.Questions.Protocol)));
        config["limit"] = _options.Limit;
        config["batch_size"] = _options.BatchSize is { } size ? size : "auto";
        config["bootstrap_iters"] = _options.BootstrapIters;
        config["fewshot_seed"] = _options.Seed;
        document["config"] = config;
        return document;
    }

    /// <summary>The lines of a task's samples file, one JSON object a record.</summary>
    /// <param name="task">The task.</param>
    public static IEnumerable<JsonObject> Samples(TaskResult task)
    {
        for (var i = 0; i < task.Samples.Count; i++)
        {
            var outcome = task.Samples[i];
            var arguments = new JsonObject();
            foreach (var request in outcome.Sample.Requests)
            {
                arguments[$"gen_args_{arguments.Count}"] = request switch
                {
                    ContinuationRequest pair => new JsonObject { ["arg_0"] = pair.Context, ["arg_1"] = pair.Continuation },
                    RollingRequest rolling => new JsonObject { ["arg_0"] = rolling.Text },
                    _ => throw new System.Diagnostics.UnreachableException(),
                };
            }

            var line = new JsonObject
            {
                ["doc_id"] = i,
                ["doc"] = outcome.Sample.Record.Fields.DeepClone(),
                ["target"] = task.Questions.Task.Target(outcome.Sample.Record),
                ["arguments"] = arguments,
                ["resps"] = new JsonArray([.. outcome.Answers.Select(answer => new JsonArray(Answer(answer)))]),
                ["filtered_resps"] = new JsonArray([.. outcome.Answers.Select(Answer)]),
                ["filter"] = "none",
                ["metrics"] = List(task.Figures.Select(figure => figure.Metric.Name)),
            };
            foreach (var (figure, value) in task.Figures.Zip(outcome.Values))
            {
                line[figure.Metric.Name] = figure.Metric.Aggregation is Aggregation.Mean or Aggregation.Perplexity
                    ? value.Value
                    : new JsonArray(value.Value, value.Weight);
            }

            yield return line;
        }
    }

    private static JsonNode Answer(RequestScore score) => new JsonArray(score.LogLikelihood, score.IsGreedy);

    private static IEnumerable<string> GroupsIn(string name) =>
        TaskLibrary.FindGroup(name) is { } group ? [name, .. group.Members.SelectMany(GroupsIn)] : [];

    private static GroupResult Aggregate(TaskGroup group, IReadOnlyList<TaskResult> all)
    {
        var names = TaskLibrary.Leaves(group.Name).Select(task => task.Name).ToHashSet(StringComparer.Ordinal);
        var tasks = all.Where(task => names.Contains(task.Questions.Task.Name)).ToArray();
        var figures = tasks[0].Figures.Select((first, m) =>
        {
            var parts = tasks.Select(task => (task.Figures[m].Value, task.Samples.Count)).ToArray();
            var errors = tasks.Select(task => (Error: task.Figures[m].StandardError, task.Samples.Count)).ToArray();
            // As in the harness: where one task has no standard error, the group has none.
            return new MetricFigure(
                first.Metric,
                Aggregations.GroupMean(parts),
                errors.All(part => part.Error is not null) ? Aggregations.PooledStandardError([.. errors.Select(part => (part.Error!.Value, part.Count))]) : null);
        }).ToArray();
        return new GroupResult(group, figures);
    }

    private JsonObject Config(TaskResult task)
    {
        var definition = task.Questions.Task;
        return new JsonObject
        {
            ["task"] = definition.Name,
            ["dataset_path"] = definition.Dataset.IsOnHub ? definition.Dataset.Repository : null,
            ["dataset_name"] = definition.Dataset.Configuration,
            ["test_split"] = task.Questions.Split,
            ["fewshot_split"] = definition.AllowsFewShot ? definition.Dataset.FewShotSplit : null,
            ["description"] = definition.Description,
            ["target_delimiter"] = " ",
            ["fewshot_delimiter"] = "\n\n",
            ["num_fewshot"] = task.Questions.FewShot,
            ["metric_list"] = new JsonArray([.. task.Figures.Select(figure => new JsonObject { ["metric"] = figure.Metric.Name, ["higher_is_better"] = figure.Metric.HigherIsBetter })]),
            ["metadata"] = new JsonObject { ["version"] = definition.Version, ["protocol"] = task.Questions.Protocol },
        };
    }

    private static JsonObject Figures(string alias, IEnumerable<MetricFigure> figures)
    {
        var result = new JsonObject { ["alias"] = alias };
        foreach (var figure in figures)
        {
            // JSON has no infinity: a model that knows nothing may have a perplexity beyond all numbers.
            result[$"{figure.Metric.Name},none"] = double.IsFinite(figure.Value) ? figure.Value : null;
            result[$"{figure.Metric.Name}_stderr,none"] = figure.StandardError is { } error && double.IsFinite(error) ? error : NotApplicable;
        }

        return result;
    }

    private JsonObject EachTask(Func<TaskResult, JsonNode?> value) => ByName(Tasks.Select(task => (task.Questions.Task.Name, value(task))));

    private static JsonObject ByName(IEnumerable<(string Name, JsonNode? Value)> entries)
    {
        var result = new JsonObject();
        foreach (var (name, value) in entries)
        {
            result[name] = value;
        }

        return result;
    }

    private static JsonArray List(IEnumerable<string> texts) => new([.. texts.Select(text => JsonValue.Create(text))]);
}

/// <summary>The outcome of a group.</summary>
/// <param name="Group">The group.</param>
/// <param name="Figures">Means over its tasks, weighted by their numbers of records, with pooled standard errors.</param>
public sealed record GroupResult(TaskGroup Group, IReadOnlyList<MetricFigure> Figures);
