using System.CommandLine;

namespace CoFrGeNet.Cli;

/// <summary>bench: measurements beside the machine's limits. Each subcommand is one file under Benchmarks.</summary>
internal sealed class BenchVerb : Verb
{
    /// <summary>Creates the verb with its subcommands.</summary>
    /// <param name="console">Where it writes.</param>
    public BenchVerb(ToolConsole console)
        : base("bench", "Measure kernels, training, decoding and serving beside what the machine can do at best", console)
    {
        Add(new KernelsBenchmark(console));
        Add(new TrainingBenchmark(console));
        Add(new DecodingBenchmark(console));
        Add(new ServingBenchmark(console));
    }

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments) =>
        throw new UserErrorException($"bench needs to know what to measure: {string.Join(", ", Subcommands.Select(command => command.Name))}. See 'cofrgenet bench --help'.");
}
