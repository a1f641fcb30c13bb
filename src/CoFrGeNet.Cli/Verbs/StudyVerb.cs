using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using CoFrGeNet.Configuration;
using CoFrGeNet.Training;
using TorchSharp;

namespace CoFrGeNet.Cli;

/// <summary>study: arms, seeds and learning rates of a file, run by one process or by several, with results that are their own memory.</summary>
internal sealed class StudyVerb : Verb
{
    private readonly Argument<string> _file = new("FILE") { Description = "The study, for example configs/studies/smoke.json" };
    private readonly Option<string> _out = new("--out") { Description = "Folder of the results; runs recorded there are not repeated", HelpName = "DIR", DefaultValueFactory = _ => Path.Combine("docs", "results") };
    private readonly Option<string?> _work = new("--work") { Description = "Folder of the runs and their checkpoints, shared by all processes that work on the study [default: runs/studies/<name>]", HelpName = "DIR" };
    private readonly Option<string?> _data = new("--data") { Description = "The text in place of the study's, as for train", HelpName = "PATH" };
    private readonly Option<string[]> _set = new("--set") { Description = "Set a member of all arms' configurations, for example data.tokenizer=FILE; may be given several times", HelpName = "path.to.member=value" };
    private readonly Option<string[]> _only = new("--only") { Description = "Run this arm alone; may be given several times", HelpName = "ARM" };
    private readonly Option<double?> _minutes = new("--minutes") { Description = "Begin no run after so many minutes; the one at hand is finished", HelpName = "M" };
    private readonly Option<bool> _again = new("--measure-again") { Description = "Train nothing; measure the models that recorded runs have left in --work on the held-out text again" };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show the arms, the runs that are left and how long they take here, and write nothing" };
    private readonly TorchOptions _torch = new();

    /// <summary>Creates the verb.</summary>
    /// <param name="console">Where it writes.</param>
    public StudyVerb(ToolConsole console)
        : base("study", "Compare arms over seeds and learning rates; done runs are never repeated, a stopped one goes on", console)
    {
        Arguments.Add(_file);
        Accept([_out, _work, _data, _set, _only, _minutes, _again, _dryRun, .. _torch.Options]);
    }

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        var clock = Stopwatch.StartNew();
        var minutes = arguments.GetValue(_minutes) ?? double.PositiveInfinity;
        if (!(minutes > 0))
        {
            throw new UserErrorException($"--minutes is {minutes}; allowed is a number above 0, for example --minutes 30.");
        }

        var plan = new StudyPlan(arguments.GetValue(_file)!, Overrides(arguments));
        var only = arguments.GetValue(_only) ?? [];
        if (only.FirstOrDefault(name => plan.Config.Arms.All(arm => arm.Name != name)) is { } stranger)
        {
            throw new UserErrorException($"--only {stranger}: {plan.Name} has no such arm; did you mean '{StrictJson.Nearest(stranger, plan.Config.Arms.Select(arm => arm.Name))}'?");
        }

        var device = _torch.Start(arguments);
        var data = TextData.Load(plan.Data);
        var (folder, work) = (arguments.GetValue(_out)!, arguments.GetValue(_work) ?? Path.Combine("runs", "studies", plan.Name));
        var runner = new StudyRunner(plan, data, Path.Combine(folder, $"{plan.Name}.json"), work, device);
        if (arguments.GetValue(_dryRun))
        {
            return ShowPlan(plan, runner, data, only, device, IsJson(arguments));
        }

        if (arguments.GetValue(_again))
        {
            Tool.Error.WriteLine($"{runner.MeasureAgain(Tool.Stop)} of {runner.Results.Runs.Count} models measured again");
            return Finish(plan, runner, arguments, folder);
        }

        while (clock.Elapsed.TotalMinutes < minutes && NextClaim(runner, only) is { } claim)
        {
            using (claim)
            {
                var display = new ProgressDisplay(Tool, claim.Key.ToString());
                display.WriteLine($"{claim.Key}: run {runner.Results.Runs.Count + 1} of {plan.RunCount}");
                var run = runner.Run(claim.Key, display, Tool.Stop);
                display.Clear();
                if (run is null)
                {
                    Tool.Error.WriteLine("stopped, saved; the same command goes on");
                    return ExitCode.Interrupted;
                }

                Tool.Error.WriteLine(FormattableString.Invariant($"{claim.Key}: {run.Failure ?? $"validation loss {run.ValidationLoss:F4}"}"));
            }

            runner.Report(Command(arguments));
        }

        return Tool.Stop.IsCancellationRequested ? ExitCode.Interrupted : Finish(plan, runner, arguments, folder);
    }

    // The rates that other processes are trying decide which runs come after them.
    private StudyClaim? NextClaim(StudyRunner runner, string[] only)
    {
        var told = false;
        while (true)
        {
            if (runner.Claim(only) is { } claim)
            {
                return claim;
            }

            if (runner.Next(only) is not { } others)
            {
                return null;
            }

            if (!told)
            {
                Tool.Error.WriteLine($"waiting: other processes are at {others} and all else that is left");
                told = true;
            }

            if (Tool.Stop.WaitHandle.WaitOne(TimeSpan.FromSeconds(1)))
            {
                return null;
            }
        }
    }

    private int Finish(StudyPlan plan, StudyRunner runner, ParseResult arguments, string folder)
    {
        runner.Report(Command(arguments));
        if (IsJson(arguments))
        {
            Tool.Output.WriteLine(JsonSerializer.Serialize(runner.Results, TrainingJsonContext.Default.StudyResults));
            return ExitCode.Done;
        }

        foreach (var arm in runner.Results.Arms)
        {
            Tool.Output.WriteLine(arm.MeanLoss is { } loss
                ? FormattableString.Invariant($"{arm.Name,-28} {arm.BlockParameters,12:N0} {arm.BlockShare,6:P0}  loss {loss:F4}{(arm.Spread is { } spread ? FormattableString.Invariant($" ± {spread:F4}") : string.Empty)} at {arm.LearningRate}, {arm.Seeds.Count} seeds")
                : FormattableString.Invariant($"{arm.Name,-28} {arm.BlockParameters,12:N0} {arm.BlockShare,6:P0}  not known yet"));
        }

        Tool.Output.WriteLine($"{(runner.Results.Complete ? "complete" : "unfinished; the same command goes on")}: {Path.Combine(folder, plan.Name)}.md");
        return ExitCode.Done;
    }

    private int ShowPlan(StudyPlan plan, StudyRunner runner, TextData data, string[] only, torch.Device device, bool json)
    {
        const double measuredSeconds = 2;
        var arms = plan.Config.Arms.Where(arm => only.Length == 0 || only.Contains(arm.Name)).Select(arm =>
        {
            var summary = runner.Results.Arms.First(known => known.Name == arm.Name);
            var left = plan.Config.LearningRates.Count + plan.Config.Seeds.Count - 1 - runner.Results.Runs.Count(run => run.Arm == arm.Name);
            var seconds = left > 0 ? StepTime.Measure(plan.ConfigOf(arm.Name), data, measuredSeconds, device).Seconds * plan.Steps : 0;
            return (summary, left, seconds);
        }).ToArray();
        var total = arms.Sum(arm => arm.left * arm.seconds);
        if (json)
        {
            WriteJson(new { plan.Name, plan.Tokens, plan.Steps, Seconds = total, Arms = arms.Select(arm => new { arm.summary.Name, arm.summary.BlockParameters, arm.summary.BlockShare, RunsLeft = arm.left, SecondsARun = arm.seconds }) });
            return ExitCode.Done;
        }

        foreach (var (summary, left, seconds) in arms)
        {
            Tool.Output.WriteLine(FormattableString.Invariant($"{summary.Name,-28} {summary.BlockParameters,12:N0} {summary.BlockShare,6:P1}  {left} runs left, {Amounts.Duration(seconds)} each"));
        }

        Tool.Output.WriteLine($"{plan.Tokens:N0} tokens a run in {plan.Steps:N0} steps; {Amounts.Duration(total)} in all on {torch.get_num_threads()} threads, evaluation left out");
        return ExitCode.Done;
    }

    private string[] Overrides(ParseResult arguments)
    {
        var given = arguments.GetValue(_set) ?? [];
        return arguments.GetValue(_data) is { } data ? [$"data.source={(data == DataConfig.SdkDocumentation ? data : Path.GetFullPath(data))}", .. given] : given;
    }

    private static string Source(string? data) => data switch
    {
        null => string.Empty,
        DataConfig.SdkDocumentation => $" --data {data}",
        _ => $" --data DATA/{Path.GetFileName(Path.TrimEndingDirectorySeparator(data))}",
    };

    // Paths of this machine would mean nothing in a document.
    private string Command(ParseResult arguments)
    {
        var file = arguments.GetValue(_file)!.Replace('\\', '/');
        var at = file.IndexOf("configs/studies/", StringComparison.Ordinal);
        var sets = (arguments.GetValue(_set) ?? []).Select(set => " --set " + (Path.IsPathRooted(set.Split('=', 2)[^1]) ? $"{set.Split('=', 2)[0]}=DATA/{Path.GetFileName(set)}" : set));
        return $"cofrgenet study {(at >= 0 ? file[at..] : Path.GetFileName(file))}{Source(arguments.GetValue(_data))}{string.Concat(sets)}{_torch.Repeat(arguments)}";
    }
}
