namespace CoFrGeNet.Cli;

/// <summary>
/// What a verb sees of its surroundings. Results go to <see cref="Output"/>; progress, notes and errors to <see cref="Error"/>, so that
/// with --json nothing but the document is on standard output.
/// </summary>
/// <param name="Output">Standard output.</param>
/// <param name="Error">Standard error.</param>
/// <param name="Stop">Is cancelled by the first Ctrl-C.</param>
internal sealed record ToolConsole(TextWriter Output, TextWriter Error, CancellationToken Stop)
{
    /// <summary>Whether somebody watches standard error: progress may overwrite its line.</summary>
    public bool IsErrorTerminal { get; init; }

    /// <summary>Whether somebody watches standard output: tables may use colour.</summary>
    public bool IsOutputTerminal { get; init; }

    /// <summary>The console of this process.</summary>
    /// <param name="stop">Is cancelled by the first Ctrl-C.</param>
    public static ToolConsole OfProcess(CancellationToken stop) => new(Console.Out, Console.Error, stop)
    {
        IsErrorTerminal = !Console.IsErrorRedirected,
        IsOutputTerminal = !Console.IsOutputRedirected,
    };
}
