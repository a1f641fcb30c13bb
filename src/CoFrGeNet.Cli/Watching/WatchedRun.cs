using CoFrGeNet.Training;

namespace CoFrGeNet.Cli;

/// <summary>How a run is getting on.</summary>
internal enum RunStatus
{
    /// <summary>A process trains it.</summary>
    Running,

    /// <summary>No process trains it, and it is not complete.</summary>
    Stopped,

    /// <summary>It is complete.</summary>
    Finished,
}

/// <summary>A run as it is seen from outside: from its folder alone, whether a process trains it or not.</summary>
internal sealed class WatchedRun
{
    private readonly RunFolder _folder;
    private readonly MetricsReader _metrics;

    /// <summary>Opens a run.</summary>
    /// <param name="path">Its folder.</param>
    /// <param name="name">What it is called beside others.</param>
    /// <exception cref="UserErrorException">There is no run, or its configuration is damaged.</exception>
    public WatchedRun(string path, string name)
    {
        (_folder, Config) = RunFolder.Open(path);
        Name = name;
        _metrics = new MetricsReader(_folder.MetricsFile);
        Refresh();
    }

    /// <summary>What it is called.</summary>
    public string Name { get; }

    /// <summary>Its folder.</summary>
    public string Path => _folder.FullPath;

    /// <summary>What determines it.</summary>
    public RunConfig Config { get; }

    /// <summary>Its log.</summary>
    public MetricsReader Metrics => _metrics;

    /// <summary>How it is getting on.</summary>
    public RunStatus Status { get; private set; }

    /// <summary>Name of the newest checkpoint; null: there is none.</summary>
    public string? LastCheckpoint { get; private set; }

    /// <summary>The last training line; null before the first.</summary>
    public MetricsStep? Last => _metrics.Steps.Count == 0 ? null : _metrics.Steps[^1];

    /// <summary>The last evaluation; null before the first.</summary>
    public EvaluatedStep? LastEvaluation => _metrics.Evaluations.Count == 0 ? null : _metrics.Evaluations[^1];

    /// <summary>The evaluation with the lowest loss; null before the first.</summary>
    public EvaluatedStep? Best => _metrics.Evaluations.MinBy(evaluation => evaluation.ValidationLoss);

    /// <summary>Training tokens of the whole run.</summary>
    public long TotalTokens => (long)Config.Training.Steps * Config.Training.TokensPerStep;

    /// <summary>Seconds of training that are left at the present speed; null: unknown.</summary>
    public double? SecondsLeft => Last is { TokensPerSecond: > 0 } last ? (TotalTokens - last.Tokens) / last.TokensPerSecond : null;

    /// <summary>Tokens after a number of steps.</summary>
    /// <param name="step">Steps done.</param>
    public long TokensAt(int step) => (long)step * Config.Training.TokensPerStep;

    /// <summary>Reads what is new.</summary>
    public void Refresh()
    {
        // Before the log: a run that ends in between counts as running once more, and its last lines are not missed.
        var isRunning = RunLock.IsHeld(Path);
        _metrics.Refresh();
        LastCheckpoint = _folder.Checkpoints.Finished is [var newest, ..] ? System.IO.Path.GetFileName(newest) : null;
        Status = isRunning ? RunStatus.Running
            : Directory.Exists(_folder.FinalFolder) && Last?.Step >= Config.Training.Steps ? RunStatus.Finished
            : RunStatus.Stopped;
    }
}
