using System.Text.Json;

namespace CoFrGeNet.Cli.Tests;

/// <summary>The outcome of one command line, run in this process.</summary>
internal sealed record ToolRun(int Code, string Output, string Error)
{
    public IReadOnlyList<string> ErrorLines => Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>The one document on standard output; fails where anything else is there.</summary>
    public JsonElement Json
    {
        get
        {
            using var document = JsonDocument.Parse(Output);
            return document.RootElement.Clone();
        }
    }

    public static ToolRun Of(params string[] arguments) => Of(new StringWriter(), TestContext.Current.CancellationToken, arguments);

    public static ToolRun Of(StringWriter error, CancellationToken stop, params string[] arguments)
    {
        using var output = new StringWriter();
        var code = Tool.Run(arguments, new ToolConsole(output, error, stop));
        return new ToolRun(code, output.ToString(), error.ToString());
    }

    /// <summary>Fails unless the code is 0, and shows why.</summary>
    public ToolRun Succeeded()
    {
        Assert.True(Code == 0, $"exit code {Code}: {Error}");
        return this;
    }
}
