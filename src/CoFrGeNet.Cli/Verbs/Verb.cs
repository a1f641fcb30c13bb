using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace CoFrGeNet.Cli;

/// <summary>What all verbs share: a console, --json, and one JSON document as their result.</summary>
internal abstract class Verb : Command
{
    private static readonly JsonSerializerOptions JsonOptions = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        WriteIndented = true,
        // Generated text stays readable; the document is not embedded in a web page.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly Option<bool> _json = new("--json") { Description = "Print the result as one JSON document on standard output, all else on standard error" };

    /// <summary>Creates the verb.</summary>
    /// <param name="name">What is typed.</param>
    /// <param name="description">What it does, for --help.</param>
    /// <param name="console">Where it writes.</param>
    protected Verb(string name, string description, ToolConsole console)
        : base(name, description)
    {
        Tool = console;
        SetAction(Run);
    }

    /// <summary>Where the verb writes, and whether it shall stop.</summary>
    protected ToolConsole Tool { get; }

    /// <summary>Declares the options, in the order in which --help shows them; --json comes last.</summary>
    /// <param name="options">The verb's own options.</param>
    protected void Accept(params IEnumerable<Option> options)
    {
        foreach (var option in options.Append(_json))
        {
            Options.Add(option);
        }
    }

    /// <summary>Does the work.</summary>
    /// <param name="arguments">The parsed command line.</param>
    /// <returns>One of <see cref="ExitCode"/>.</returns>
    protected abstract int Run(ParseResult arguments);

    /// <summary>Whether the result shall be one JSON document.</summary>
    /// <param name="arguments">The parsed command line.</param>
    protected bool IsJson(ParseResult arguments) => arguments.GetValue(_json);

    /// <summary>A number that must be 1 or more.</summary>
    /// <param name="arguments">The parsed command line.</param>
    /// <param name="option">The option, with a default.</param>
    /// <exception cref="UserErrorException">It is less.</exception>
    protected static int Positive(ParseResult arguments, Option<int> option) => arguments.GetValue(option) is var value and >= 1
        ? value
        : throw new UserErrorException($"{option.Name} is {arguments.GetValue(option)}; allowed is 1 or more.");

    /// <summary>The names in a list with commas, each once.</summary>
    /// <param name="arguments">The parsed command line.</param>
    /// <param name="option">The option, with a default.</param>
    /// <param name="allowed">The names that are known.</param>
    /// <exception cref="UserErrorException">One is not known.</exception>
    protected static IReadOnlyList<string> List(ParseResult arguments, Option<string> option, params string[] allowed)
    {
        var given = arguments.GetValue(option)!.Split(',', StringSplitOptions.TrimEntries);
        return given.FirstOrDefault(name => !allowed.Contains(name)) is { } stranger
            ? throw new UserErrorException($"{option.Name} names '{stranger}'; allowed: {string.Join(", ", allowed)}.")
            : [.. given.Distinct()];
    }

    /// <summary>Writes the result.</summary>
    /// <param name="document">Any object; its members are written in camelCase.</param>
    protected void WriteJson(object document) => Tool.Output.WriteLine(JsonSerializer.Serialize(document, JsonOptions));

    /// <summary>The result as it stands in a file.</summary>
    /// <param name="document">Any object; its members are written in camelCase.</param>
    protected static byte[] Json(object document) => JsonSerializer.SerializeToUtf8Bytes(document, JsonOptions);

    /// <summary>A number that JSON can hold: null for infinity and for what is no number.</summary>
    /// <param name="value">The number.</param>
    internal static double? Finite(double? value) => value is { } number && double.IsFinite(number) ? number : null;
}
