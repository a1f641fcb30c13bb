using System.CommandLine;
using TorchSharp;

namespace CoFrGeNet.Cli;

/// <summary>bench kernels: ladders by nested division, by continuants of tensor operations, and fused.</summary>
internal sealed class KernelsBenchmark : Verb
{
    private readonly TorchOptions _torch = new();
    private readonly Option<int> _rounds = new("--rounds") { Description = "Timed rounds; the median counts", HelpName = "N", DefaultValueFactory = _ => 7 };
    private readonly Option<int> _tokens = new("--tokens") { Description = "Tokens N of the workload", HelpName = "N", DefaultValueFactory = _ => 8192 };

    /// <summary>Creates the subcommand.</summary>
    /// <param name="console">Where it writes.</param>
    public KernelsBenchmark(ToolConsole console)
        : base("kernels", "Time ladders: fused kernels against nested division and composed tensor operations", console) => Accept([_rounds, _tokens, .. _torch.Options]);

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        int rounds = Positive(arguments, _rounds), tokens = Positive(arguments, _tokens);
        _torch.Start(arguments);
        var threads = torch.get_num_threads();
        var report = new BenchmarkReport();
        report.Add("limit.copy", MachineLimits.CopyBandwidth(threads) / 1e9, "GB/s");
        report.Add("limit.multiplyAdd", MachineLimits.FusedMultiplyAddPeak(threads) / 1e9, "GFLOP/s");
        if (IsJson(arguments))
        {
            WriteJson(report.Document(new { Tokens = tokens, Threads = threads, Rounds = rounds }));
        }
        else
        {
            report.Write(Tool.Output);
        }

        return ExitCode.Done;
    }

    private static int Positive(ParseResult arguments, Option<int> option) => arguments.GetValue(option) is var value and >= 1
        ? value
        : throw new UserErrorException($"{option.Name} is {arguments.GetValue(option)}; allowed is 1 or more.");
}
