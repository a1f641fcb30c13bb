namespace CoFrGeNet.Evaluation;

/// <summary>A question with choices.</summary>
/// <param name="Contexts">The context of each choice; they differ in tasks that put the choice into the middle of a sentence.</param>
/// <param name="Choices">The choices; each is scored with a space before it.</param>
/// <param name="Gold">Number of the right one, from 0.</param>
public sealed record ChoiceQuestion(IReadOnlyList<string> Contexts, IReadOnlyList<string> Choices, int Gold)
{
    /// <summary>A question whose choices all follow the same context.</summary>
    /// <param name="context">The context.</param>
    /// <param name="choices">The choices.</param>
    /// <param name="gold">Number of the right one, from 0.</param>
    public ChoiceQuestion(string context, IReadOnlyList<string> choices, int gold)
        : this([.. choices.Select(_ => context)], choices, gold)
    {
    }
}

/// <summary>The choice with the highest log-likelihood is the model's answer; of equal ones the first.</summary>
public sealed class MultipleChoiceTask : EvaluationTask
{
    private const char Delimiter = ' ';

    private readonly Func<DataRecord, ChoiceQuestion> _question;
    private readonly bool _normalizes;

    /// <summary>Creates the task.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="version">Version of its prompt and metrics.</param>
    /// <param name="dataset">Its data.</param>
    /// <param name="normalizes">Whether acc_norm is reported beside acc.</param>
    /// <param name="question">Makes the question from a record.</param>
    public MultipleChoiceTask(string name, string version, DatasetReference dataset, bool normalizes, Func<DataRecord, ChoiceQuestion> question)
        : base(name, version, dataset, normalizes ? [TaskMetric.Accuracy, TaskMetric.NormalizedAccuracy] : [TaskMetric.Accuracy])
    {
        _question = question;
        _normalizes = normalizes;
    }

    /// <inheritdoc/>
    public override IReadOnlyList<ScoringRequest> Requests(DataRecord record, string prefix)
    {
        var question = Ask(record);
        return [.. question.Contexts.Zip(question.Choices, (context, choice) => new ContinuationRequest(prefix + context, Delimiter + choice))];
    }

    /// <inheritdoc/>
    public override string Example(DataRecord record)
    {
        var question = Ask(record);
        return question.Contexts[question.Gold] + Delimiter + question.Choices[question.Gold];
    }

    /// <inheritdoc/>
    public override string Target(DataRecord record) => Ask(record).Gold.ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <inheritdoc/>
    public override IReadOnlyList<MetricValue> Score(DataRecord record, IReadOnlyList<RequestScore> scores)
    {
        var question = Ask(record);
        var raw = scores.Select(score => score.LogLikelihood).ToArray();
        MetricValue accuracy = new(Best(raw) == question.Gold ? 1 : 0);
        if (!_normalizes)
        {
            return [accuracy];
        }

        // Code points of the choice without the space before it, as Python's len counts them.
        var normalized = raw.Zip(question.Choices, (value, choice) => value / choice.EnumerateRunes().Count()).ToArray();
        return [accuracy, new(Best(normalized) == question.Gold ? 1 : 0)];
    }

    private ChoiceQuestion Ask(DataRecord record)
    {
        var question = _question(record);
        return question.Gold >= 0 && question.Gold < question.Choices.Count
            ? question
            : throw new UserErrorException($"{record.Origin}: the right answer is number {question.Gold}, and there are {question.Choices.Count} choices (from 0); a test split without answers cannot be scored.");
    }

    private static int Best(double[] values)
    {
        var best = 0;
        for (var i = 1; i < values.Length; i++)
        {
            best = values[i] > values[best] ? i : best;
        }

        return best;
    }
}
