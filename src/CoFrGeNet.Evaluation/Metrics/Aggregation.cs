namespace CoFrGeNet.Evaluation;

/// <summary>How a metric's values of single documents become one figure.</summary>
public enum Aggregation
{
    /// <summary>The mean.</summary>
    Mean,

    /// <summary>exp(-mean): of log-likelihoods of whole answers, one a document.</summary>
    Perplexity,

    /// <summary>exp(-sum of log-likelihoods / sum of weights): perplexity by word, byte or token.</summary>
    WeightedPerplexity,

    /// <summary>-sum of log-likelihoods / sum of weights / ln 2.</summary>
    BitsPerByte,
}

/// <summary>A metric of a task.</summary>
/// <param name="Name">Its name in results, for example <c>acc_norm</c>.</param>
/// <param name="Aggregation">How documents are joined.</param>
/// <param name="HigherIsBetter">Whether larger is better.</param>
public sealed record TaskMetric(string Name, Aggregation Aggregation, bool HigherIsBetter)
{
    /// <summary>Accuracy.</summary>
    public static TaskMetric Accuracy { get; } = new("acc", Aggregation.Mean, true);

    /// <summary>Accuracy with log-likelihoods divided by the answers' lengths in code points.</summary>
    public static TaskMetric NormalizedAccuracy { get; } = new("acc_norm", Aggregation.Mean, true);
}

/// <summary>One document's part of a metric.</summary>
/// <param name="Value">A score, or a log-likelihood in nats.</param>
/// <param name="Weight">Words, bytes or tokens behind a log-likelihood; 1 elsewhere.</param>
public readonly record struct MetricValue(double Value, double Weight = 1);
