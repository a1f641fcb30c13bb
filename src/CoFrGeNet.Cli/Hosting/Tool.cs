using System.CommandLine;
using System.CommandLine.Help;
using CoFrGeNet.Configuration;
using CoFrGeNet.Training;
using CoFrGeNet.Weights;

namespace CoFrGeNet.Cli;

/// <summary>The tool: its verbs, and how their outcomes become exit codes and messages.</summary>
internal static class Tool
{
    private const string Name = "cofrgenet";

    private static readonly (string Type, string Allowed)[] ParsedTypes =
    [
        (nameof(Int32), $"a whole number up to {int.MaxValue}"),
        (nameof(Int64), $"a whole number up to {long.MaxValue}"),
        (nameof(Double), "a number"),
    ];

    /// <summary>Parses a command line and runs its verb.</summary>
    /// <param name="arguments">What follows the tool's name.</param>
    /// <param name="console">Where it writes.</param>
    /// <returns>One of <see cref="ExitCode"/>.</returns>
    public static int Run(IReadOnlyList<string> arguments, ToolConsole console)
    {
        // No response files: a prompt may begin with @.
        ParseResult parsed;
        try
        {
            parsed = BuildRoot(console).Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
        }
        catch (UserErrorException error)
        {
            // A default value that comes from an environment variable.
            return Report(error, console);
        }

        var asksForHelp = parsed.Action is HelpAction;
        return parsed.Errors.Count > 0 && !asksForHelp ? ReportUsage(parsed, console) : Invoke(parsed, console);
    }

    // A new verb is one line here.
    private static IEnumerable<Command> Verbs(ToolConsole console) =>
    [
        new QuickstartVerb(console),
        new DataVerb(console),
        new TrainVerb(console),
        new StudyVerb(console),
        new WatchVerb(console),
        new FinetuneVerb(console),
        new EvalVerb(console),
        new GenerateVerb(console),
        new ServeVerb(console),
        new ConvertVerb(console),
        new InspectVerb(console),
        new InfoVerb(console),
        new DoctorVerb(console),
        new BenchVerb(console),
    ];

    // Not a RootCommand, whose name in the help would be that of the assembly.
    private static Command BuildRoot(ToolConsole console)
    {
        var root = new Command(Name, "Trains, compares and runs language models whose layers are continued fractions.")
        {
            new HelpOption { Recursive = true },
            new VersionOption(),
        };
        foreach (var verb in Verbs(console))
        {
            root.Add(verb);
        }

        return root;
    }

    // Whatever a verb throws ends here, so that the user sees a message and a script sees an exit code.
#pragma warning disable CA1031
    private static int Invoke(ParseResult parsed, ToolConsole console)
    {
        try
        {
            return parsed.Invoke(new InvocationConfiguration
            {
                Output = console.Output,
                Error = console.Error,
                EnableDefaultExceptionHandler = false,
                // Interruption listens to signals itself, since the verbs must have time to save.
                ProcessTerminationTimeout = null,
            });
        }
        catch (Exception error)
        {
            return Report(error, console);
        }
    }
#pragma warning restore CA1031

    /// <summary>Says why a verb ended with an error.</summary>
    /// <param name="error">The error.</param>
    /// <param name="console">Where it is said.</param>
    /// <param name="who">Put before the message.</param>
    /// <returns>One of <see cref="ExitCode"/>.</returns>
    public static int Report(Exception error, ToolConsole console, string who = "")
    {
        if (error is OperationCanceledException && console.Stop.IsCancellationRequested)
        {
            return ExitCode.Interrupted;
        }

        var isInput = error is UserErrorException or WeightsFormatException
            || (error is ArithmeticException && error.Message.Contains("weights are damaged", StringComparison.Ordinal));
        // The run or the machine failed, not the program: its stack would tell the user nothing.
        var isKnown = isInput || error is TrainingFailedException or IOException or UnauthorizedAccessException;
        console.Error.WriteLine(who + (isKnown ? error.Message.ReplaceLineEndings(" ") : $"{Name} failed, and this is its own mistake: {error}"));
        return isInput ? ExitCode.BadInput : ExitCode.Failed;
    }

    private static int ReportUsage(ParseResult parsed, ToolConsole console)
    {
        var command = parsed.CommandResult.Command;
        var isGroup = command.Subcommands.Count > 0;
        var known = isGroup ? command.Subcommands.Select(verb => verb.Name) : command.Options.Select(option => option.Name);
        var stranger = parsed.UnmatchedTokens.FirstOrDefault(token => isGroup || token.StartsWith('-'));
        var message = stranger is null
            ? ParsedTypes.Aggregate(parsed.Errors[0].Message.ReplaceLineEndings(" "), NameAllowed)
            : $"There is no {(isGroup ? "verb" : "option")} '{stranger}'; did you mean '{StrictJson.Nearest(stranger, known)}'?";
        console.Error.WriteLine($"{message} See '{PathOf(command)} --help'.");
        return ExitCode.BadInput;
    }

    // The parser speaks of .NET's types.
    private static string NameAllowed(string message, (string Type, string Allowed) parsed) => message
        .Replace($" as expected type 'System.{parsed.Type}'", $"; allowed is {parsed.Allowed}")
        .Replace($" as expected type 'System.Nullable`1[System.{parsed.Type}]'", $"; allowed is {parsed.Allowed}");

    private static string PathOf(Command command) =>
        command.Parents.OfType<Command>().FirstOrDefault() is { } parent ? $"{PathOf(parent)} {command.Name}" : command.Name;
}
