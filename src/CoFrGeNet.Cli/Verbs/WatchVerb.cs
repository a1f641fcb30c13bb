using System.CommandLine;
using System.Diagnostics;
using CoFrGeNet.Training;
using Spectre.Console;

namespace CoFrGeNet.Cli;

/// <summary>watch: shows how runs are getting on, from their folders alone; libtorch is not loaded.</summary>
internal sealed class WatchVerb : Verb
{
    private const int PlainWidth = 100;
    private const int MostCurvePoints = 200;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PlainInterval = TimeSpan.FromSeconds(10);

    private readonly Argument<string[]> _runs = new("run")
    {
        Description = "Folders of runs, or a folder of them such as a quickstart's; several are compared",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Option<bool> _once = new("--once") { Description = "Show the present state and end [default: follow until no run is running]" };

    /// <summary>Creates the verb.</summary>
    /// <param name="console">Where it writes.</param>
    public WatchVerb(ToolConsole console)
        : base("watch", "Show the losses, speed and checkpoints of runs in the terminal, while they run or afterwards", console)
    {
        Arguments.Add(_runs);
        Accept(_once);
    }

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        var paths = arguments.GetRequiredValue(_runs);
        var json = IsJson(arguments);
        var runs = Open(paths, []);
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(Tool.Output),
            Ansi = Tool.IsOutputTerminal ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = Tool.IsOutputTerminal ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
        });
        if (!Tool.IsOutputTerminal)
        {
            console.Profile.Width = PlainWidth;
        }

        var live = !json && Tool.IsOutputTerminal;
        if (!arguments.GetValue(_once))
        {
            runs = live ? FollowLive(console, paths, runs) : FollowPlain(paths, runs);
        }

        if (json)
        {
            WriteJson(new { Runs = runs.Select(Document).ToArray() });
        }
        else if (!live || arguments.GetValue(_once))
        {
            console.Write(WatchView.Build(runs, console.Profile.Width));
        }

        return Tool.Stop.IsCancellationRequested ? ExitCode.Interrupted : ExitCode.Done;
    }

    private List<WatchedRun> FollowLive(IAnsiConsole console, string[] paths, List<WatchedRun> runs)
    {
        console.Live(WatchView.Build(runs, console.Profile.Width)).Start(context => Follow(paths, runs, now =>
        {
            runs = now;
            context.UpdateTarget(WatchView.Build(now, console.Profile.Width));
        }));
        return runs;
    }

    private List<WatchedRun> FollowPlain(string[] paths, List<WatchedRun> runs)
    {
        var clock = Stopwatch.StartNew();
        var told = new Dictionary<string, (int Evaluations, RunStatus Status)>();
        Follow(paths, runs, latest =>
        {
            runs = latest;
            foreach (var run in latest)
            {
                // Every evaluation has a line, so has an end, and so has a stretch of time without either.
                var now = (run.Metrics.Evaluations.Count, run.Status);
                if (!told.TryGetValue(run.Path, out var before) || before != now || clock.Elapsed > PlainInterval)
                {
                    told[run.Path] = now;
                    Tool.Error.WriteLine(WatchView.Describe(run));
                }
            }

            if (clock.Elapsed > PlainInterval)
            {
                clock.Restart();
            }
        });
        return runs;
    }

    // Until nothing has been running twice in a row: a quickstart's next run begins a moment after the one before.
    private void Follow(string[] paths, List<WatchedRun> runs, Action<List<WatchedRun>> show)
    {
        for (var idle = 0; idle < 2 && !Tool.Stop.IsCancellationRequested;)
        {
            show(runs);
            idle = runs.Any(run => run.Status == RunStatus.Running) ? 0 : idle + 1;
            if (idle < 2 && !Tool.Stop.WaitHandle.WaitOne(Interval))
            {
                runs.ForEach(run => run.Refresh());
                runs = Open(paths, runs);
            }
        }
    }

    private static List<WatchedRun> Open(IEnumerable<string> paths, List<WatchedRun> known)
    {
        var folders = paths.SelectMany(Expand).Select(Path.GetFullPath).Distinct().ToArray();
        return
        [
            .. folders.Select(folder => known.FirstOrDefault(run => run.Path == folder)
                ?? new WatchedRun(folder, folders.Count(other => Path.GetFileName(other) == Path.GetFileName(folder)) == 1 ? Path.GetFileName(folder) : folder)),
        ];
    }

    private static IEnumerable<string> Expand(string path)
    {
        path = Path.TrimEndingDirectorySeparator(path);
        if (RunFolder.Exists(path))
        {
            return [path];
        }

        var inside = Directory.Exists(path) ? Directory.GetDirectories(path).Where(RunFolder.Exists).OrderBy(Directory.GetCreationTimeUtc).ToArray() : [];
        return inside.Length > 0
            ? inside
            : throw new UserErrorException($"{path} holds no run (it has no run.json, and no folder in it has one); give a folder that 'train' or 'quickstart' wrote.");
    }

    private static object Document(WatchedRun run)
    {
        var (last, steps) = (run.Last, run.Metrics.Steps);
        return new
        {
            run.Name,
            Folder = run.Path,
            State = run.Status.ToString().ToLowerInvariant(),
            Step = last?.Step ?? 0,
            run.Config.Training.Steps,
            Tokens = last?.Tokens ?? 0,
            run.TotalTokens,
            last?.Loss,
            run.LastEvaluation?.ValidationLoss,
            BestValidationLoss = run.Best?.ValidationLoss,
            BestStep = run.Best?.Step,
            last?.LearningRate,
            last?.GradientNorm,
            run.Metrics.MaxGradientNorm,
            last?.TokensPerSecond,
            run.SecondsLeft,
            last?.ActiveLevels,
            last?.Levels,
            run.Metrics.SkippedSteps,
            run.LastCheckpoint,
            // Thinned out: a document is read at once, the whole log lies in metrics.jsonl.
            TrainingCurve = steps.Where((_, i) => i % (1 + (steps.Count / MostCurvePoints)) == 0).Select(step => new CurvePoint(step.Tokens, step.Loss)).ToArray(),
            ValidationCurve = run.Metrics.Evaluations.Select(evaluation => new CurvePoint(run.TokensAt(evaluation.Step), evaluation.ValidationLoss)).ToArray(),
            Messages = run.Metrics.Messages.Select(message => new { message.Step, message.Text }).ToArray(),
        };
    }
}
