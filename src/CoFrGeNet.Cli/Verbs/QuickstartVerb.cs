using System.CommandLine;
using System.Globalization;
using CoFrGeNet.Storage;
using CoFrGeNet.Training;

namespace CoFrGeNet.Cli;

/// <summary>quickstart: trains a transformer and its continued-fraction counterparts on text that every SDK brings, and compares them.</summary>
internal sealed class QuickstartVerb : Verb
{
    private readonly Option<double> _minutes = new("--minutes")
    {
        Description = "How long all of it may take",
        HelpName = "M",
        DefaultValueFactory = _ => 4,
    };

    private readonly Option<int?> _steps = new("--steps") { Description = "Optimizer steps of each model instead of a time [default: as many as fit --minutes]", HelpName = "N" };
    private readonly Option<string?> _data = new("--data") { Description = "A text file, a .gz of one, or a folder of them [default: the documentation of the .NET SDK]", HelpName = "PATH" };
    private readonly Option<string?> _out = new("--out") { Description = "Folder for everything [default: runs/quickstart-<date>-<time>]", HelpName = "DIR" };
    private readonly Option<bool> _resume = new("--resume") { Description = "Go on with the interrupted quickstart in --out" };
    private readonly Option<bool> _force = new("--force") { Description = "Delete an earlier quickstart in --out" };
    private readonly TorchOptions _torch = new();

    /// <summary>Creates the verb.</summary>
    /// <param name="console">Where it writes.</param>
    public QuickstartVerb(ToolConsole console)
        : base("quickstart", "Train a transformer, CoFrGeNet-F and CoFrGeNet side by side in minutes, on text that every .NET SDK brings", console) =>
        Accept([_minutes, _steps, _data, _out, _resume, _force, .. _torch.Options]);

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        var minutes = arguments.GetValue(_minutes);
        var steps = arguments.GetValue(_steps);
        if (!(minutes > 0) || minutes > 100000)
        {
            throw new UserErrorException($"--minutes is {minutes}; allowed is a number above 0, for example --minutes 4.");
        }

        if (steps is < 1)
        {
            throw new UserErrorException($"--steps is {steps}; allowed is 1 or more.");
        }

        var folder = Folder(arguments);
        var device = _torch.Start(arguments);
        var run = new QuickstartRun(Tool, folder);
        if (run.Run(minutes, steps, FullPath(arguments.GetValue(_data)), arguments.GetValue(_force), arguments.GetValue(_resume), device) is not { } results)
        {
            Tool.Error.WriteLine($"stopped, saved; go on with: cofrgenet quickstart --out {folder} --resume{_torch.Repeat(arguments)}");
            return ExitCode.Interrupted;
        }

        QuickstartReport.SavePicture(Path.Combine(folder, "loss.png"), results);
        var document = QuickstartReport.Document(results, folder, Math.Round(run.Seconds, 1), run.Description);
        DurableFile.Write(Path.Combine(folder, "result.json"), Json(document));
        if (IsJson(arguments))
        {
            WriteJson(document);
        }
        else
        {
            QuickstartReport.Write(Tool.Output, Tool.IsOutputTerminal, results, folder, run.Seconds);
        }

        return ExitCode.Done;
    }

    // The plan is read again from wherever the resume is typed.
    private static string? FullPath(string? data) => data is null or DataConfig.SdkDocumentation ? data : Path.GetFullPath(data);

    private string Folder(ParseResult arguments)
    {
        var given = arguments.GetValue(_out);
        if (arguments.GetValue(_resume))
        {
            if (arguments.GetResult(_steps) is not null || arguments.GetResult(_data) is not null || arguments.GetValue(_force))
            {
                throw new UserErrorException("--resume follows the plan in --out, so --steps, --data and --force do not go with it; leave them out.");
            }

            var existing = given ?? throw new UserErrorException("--resume needs the folder of the quickstart; give it with --out DIR.");
            return File.Exists(Path.Combine(existing, QuickstartRun.PlanFile))
                ? Path.GetFullPath(existing)
                : throw new UserErrorException($"{existing} holds no quickstart (it has no {QuickstartRun.PlanFile}); leave --resume out to start one.");
        }

        var folder = given ?? Path.Combine("runs", "quickstart-" + DateTime.Now.ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture));
        RunFolder.RequireFree(folder, arguments.GetValue(_force), "or go on with --resume");
        return Path.GetFullPath(folder);
    }
}
