namespace CoFrGeNet.Evaluation;

/// <summary>How tasks are evaluated; the names are those of lm-evaluation-harness.</summary>
public sealed record EvaluationOptions
{
    /// <summary>Examples before each question.</summary>
    public int NumFewshot { get; init; }

    /// <summary>Records a task: below 1 a share of them, else a number; absent: all.</summary>
    public double? Limit { get; init; }

    /// <summary>Sequences in one forward pass; absent: by length.</summary>
    public int? BatchSize { get; init; }

    /// <summary>Seed of the few-shot examples.</summary>
    public long Seed { get; init; } = 1234;

    /// <summary>Bootstrap samples for standard errors that have no formula; 0: no standard errors.</summary>
    public int BootstrapIters { get; init; } = 100000;

    /// <summary>Another split than the task's own.</summary>
    public string? Split { get; init; }

    /// <summary>Window of corpus perplexities; absent: the context length.</summary>
    public int? Window { get; init; }

    /// <summary>Stride of corpus perplexities; absent: the window.</summary>
    public int? Stride { get; init; }

    /// <summary>Checks every member.</summary>
    /// <param name="contextLength">The model's.</param>
    /// <returns>These options.</returns>
    /// <exception cref="UserErrorException">A member is out of range.</exception>
    public EvaluationOptions Validate(int contextLength)
    {
        Require(NumFewshot >= 0, "num_fewshot", NumFewshot, "0 or more");
        Require(Limit is null or > 0, "limit", Limit, "a number of records, or a share of them between 0 and 1");
        Require(Limit is null or < 1 || Limit == Math.Floor(Limit.Value), "limit", Limit, "a whole number of records, or a share of them between 0 and 1");
        Require(BatchSize is null or > 0, "batch_size", BatchSize, "1 or more, or auto");
        Require(BootstrapIters >= 0, "bootstrap_iters", BootstrapIters, "0 or more");
        Require(Window is null || (Window > 0 && Window <= contextLength), "window", Window, $"1 to the model's context length {contextLength}");
        Require(Stride is null || (Stride > 0 && Stride <= (Window ?? contextLength)), "stride", Stride, $"1 to the window {Window ?? contextLength}");
        return this;
    }

    /// <summary>How many of a number of records are evaluated.</summary>
    /// <param name="count">How many there are.</param>
    public int Take(int count) => Limit switch
    {
        null => count,
        < 1 => (int)Math.Ceiling(count * Limit.Value),
        _ => (int)Math.Min(count, Limit.Value),
    };

    private static void Require(bool holds, string name, object? given, string allowed)
    {
        if (!holds)
        {
            throw new UserErrorException($"--{name} is {given}; allowed is {allowed}.");
        }
    }
}
