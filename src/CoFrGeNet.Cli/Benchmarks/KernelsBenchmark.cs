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
        var device = _torch.Start(arguments);
        var isOnCpu = device.type == DeviceType.CPU;
        var threads = torch.get_num_threads();
        torch.manual_seed(1);
        var copy = isOnCpu ? MachineLimits.CopyBandwidth(threads) : MachineLimits.CopyBandwidth(device);
        var report = new BenchmarkReport();
        report.Add("limit.copy", copy / 1e9, "GB/s");

        // What a device could do from its registers alone is not measured.
        var peak = isOnCpu ? MachineLimits.FusedMultiplyAddPeak(threads) : double.NaN;
        if (isOnCpu)
        {
            report.Add("limit.multiplyAdd", peak / 1e9, "GFLOP/s");
        }

        using (var work = new ElementwiseWorkload(tokens, device))
        {
            var seconds = Time("elementwise", work, rounds, report);
            if (isOnCpu)
            {
                AddShare(report, "elementwise.fmaShare", "elementwise.fused.operations", work.Operations / seconds, peak, "GFLOP/s");
            }

            AddShare(report, "elementwise.bandwidthShare", "elementwise.fused.bytes", work.ForwardBackwardBytes / seconds, copy, "GB/s");
        }

        using (var work = new ProjectedWorkload(tokens, device))
        {
            var seconds = Time("projected", work, rounds, report);
            AddShare(report, "projected.bandwidthShare", "projected.fused.bytes", work.ForwardBackwardBytes / seconds, copy, "GB/s");
        }

        if (IsJson(arguments))
        {
            WriteJson(report.Document(new { Tokens = tokens, Threads = threads, Rounds = rounds, Device = device.ToString() }));
        }
        else
        {
            report.Write(Tool.Output);
        }

        return ExitCode.Done;
    }

    // Returns the fused kernel's time forward and backward.
    private double Time(string kind, LadderWorkload work, int rounds, BenchmarkReport report)
    {
        Tool.Error.WriteLine($"{kind}: checking, then timing {rounds} rounds");
        work.Check();
        var seconds = 0.0;
        foreach (var (part, run) in new (string, Action<string>)[] { ("forward", work.Forward), ("forwardBackward", work.ForwardBackward) })
        {
            var contest = new Contest();
            foreach (var contestant in LadderWorkload.Contestants)
            {
                contest.Add(contestant, () => run(contestant));
            }

            contest.Run(rounds, warmUps: 2, Tool.Stop);
            foreach (var contestant in LadderWorkload.Contestants)
            {
                report.Add($"{kind}.{part}.{contestant}", contest.Seconds(contestant) * 1e3, "ms");
            }

            report.AddRatio($"{kind}.{part}.fusedOverNaive", contest.TimesFaster(LadderWorkload.Fused, LadderWorkload.Naive));
            report.AddRatio($"{kind}.{part}.fusedOverComposed", contest.TimesFaster(LadderWorkload.Fused, LadderWorkload.Composed));
            seconds = contest.Seconds(LadderWorkload.Fused);
        }

        return seconds;
    }

    private static void AddShare(BenchmarkReport report, string ratio, string name, double rate, double limit, string unit)
    {
        report.Add(name, rate / 1e9, unit, limit / 1e9);
        report.AddRatio(ratio, rate / limit);
    }
}
