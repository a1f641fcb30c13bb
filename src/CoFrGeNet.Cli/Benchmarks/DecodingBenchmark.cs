using System.CommandLine;
using CoFrGeNet.Accounting;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Cli;

/// <summary>bench decode: the managed engine on models with random weights, beside the memory's read bandwidth, the processor's multiply-adds and the torch model.</summary>
internal sealed class DecodingBenchmark : Verb
{
    private const string Torch = "torch";

    private static readonly (string Variant, string Prefix)[] Shares = [("transformer", "transformerB"), ("f", "b"), ("fu", "cofrgenetB")];

    private readonly TorchOptions _torch = new();
    private readonly Option<string> _preset = new("--preset") { Description = "The transformer; its variants -f and -fu stand for both parts of the paper", HelpName = "NAME", DefaultValueFactory = _ => "gpt2" };
    private readonly Option<string> _variants = new("--variants") { Description = "What is timed, of transformer, f and fu", HelpName = "LIST", DefaultValueFactory = _ => "transformer,f,fu" };
    private readonly Option<string> _types = new("--types") { Description = "Types of the weights, of f32, bf16, int8 and int4", HelpName = "LIST", DefaultValueFactory = _ => "f32,bf16,int8" };
    private readonly Option<int> _tokens = new("--tokens") { Description = "Tokens decoded in a round", HelpName = "N", DefaultValueFactory = _ => 24 };
    private readonly Option<int> _context = new("--context") { Description = "Tokens before them", HelpName = "N", DefaultValueFactory = _ => 64 };
    private readonly Option<int> _prompt = new("--prompt") { Description = "Tokens of the prompt that is read", HelpName = "N", DefaultValueFactory = _ => 512 };
    private readonly Option<int> _sequences = new("--sequences") { Description = "Sequences that are decoded side by side, beside one alone", HelpName = "N", DefaultValueFactory = _ => 8 };
    private readonly Option<int> _rounds = new("--rounds") { Description = "Timed rounds; the median counts", HelpName = "N", DefaultValueFactory = _ => 5 };

    /// <summary>Creates the subcommand.</summary>
    /// <param name="console">Where it writes.</param>
    public DecodingBenchmark(ToolConsole console)
        : base("decode", "Time the managed engine: decoding beside the memory's bandwidth, prompts beside multiply-adds and torch", console) =>
        Accept(_preset, _variants, _types, _tokens, _context, _prompt, _sequences, _rounds, _torch.Threads);

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        int tokens = Positive(arguments, _tokens), context = Positive(arguments, _context), prompt = Positive(arguments, _prompt);
        int sequences = Positive(arguments, _sequences), rounds = Positive(arguments, _rounds);
        var variants = List(arguments, _variants, "transformer", "f", "fu");
        var types = List(arguments, _types, "f32", "bf16", "int8", "int4");
        var preset = arguments.GetValue(_preset)!;
        var models = variants.ToDictionary(variant => variant, variant => PresetLibrary.Get(variant == "transformer" ? preset : $"{preset}-{variant}").Model);
        if (models.Values.Min(model => model.ContextLength) is var longest && (prompt < context || prompt < 4 || Math.Max(prompt, context + tokens) > longest))
        {
            throw new UserErrorException($"--prompt is {prompt}, --context {context} and --tokens {tokens}; the prompt must have 4 tokens and the context's at least, and neither it nor context and tokens together more than the model's {longest}.");
        }

        _torch.StartOnCpu(arguments);
        var threads = TorchSharp.torch.get_num_threads();
        var report = new BenchmarkReport();
        var works = new Dictionary<string, DecodingWorkload>();
        try
        {
            foreach (var (variant, model) in models)
            {
                Tool.Error.WriteLine($"{variant}: building {string.Join(", ", types)} and checking them against torch");
                works.Add(variant, new DecodingWorkload(model, types, prompt, sequences, threads));
                foreach (var type in types)
                {
                    works[variant].Check(type);
                }
            }

            foreach (var type in types)
            {
                TimeDecoding(type, works, (tokens, context, sequences, rounds, threads), report);
            }

            TimePrompts(types, models, works, (prompt, rounds, threads), report);
        }
        finally
        {
            foreach (var work in works.Values)
            {
                work.Dispose();
            }
        }

        if (IsJson(arguments))
        {
            WriteJson(report.Document(new { preset, tokens, context, prompt, sequences, rounds, Threads = threads }));
        }
        else
        {
            report.Write(Tool.Output);
        }

        return ExitCode.Done;
    }

    private void TimeDecoding(
        string type, Dictionary<string, DecodingWorkload> works, (int Tokens, int Context, int Sequences, int Rounds, int Threads) size, BenchmarkReport report)
    {
        Tool.Error.WriteLine($"{type}: decoding, {size.Rounds} rounds");
        var contest = new Contest();
        var bandwidths = new List<double>();
        contest.Add("bandwidth", () => bandwidths.Add(MachineLimits.ReadBandwidth(size.Threads, rounds: 1)));
        foreach (var (variant, work) in works)
        {
            work.Start(type, size.Context, size.Sequences);
            contest.Add(variant, () => work.Decode(type, size.Tokens, 1));
            contest.Add($"{variant}.side", () => work.Decode(type, Math.Max(1, size.Tokens / size.Sequences), size.Sequences));
        }

        contest.Run(size.Rounds, warmUps: 2, Tool.Stop);
        // Of the timed rounds, as the contestants' median.
        var bandwidth = Contest.Median(bandwidths.Skip(2));
        report.Add($"{type}.bandwidth", bandwidth / 1e9, "GB/s");
        foreach (var (variant, work) in works)
        {
            var speed = size.Tokens / contest.Seconds(variant);
            report.Add($"{type}.{variant}.speed", speed, "tokens/s", bandwidth / work.PassBytes(type));
            var side = Math.Max(1, size.Tokens / size.Sequences) * size.Sequences / contest.Seconds($"{variant}.side");
            report.Add($"{type}.{variant}.speedOf{size.Sequences}", side, "tokens/s");
        }

        double? Speed(string variant) => report.Find($"{type}.{variant}.speed")?.Value;
        foreach (var (variant, prefix) in Shares)
        {
            if (report.Find($"{type}.{variant}.speed") is { Limit: { } limit } result)
            {
                report.AddRatio($"decode.{type}.{prefix}andwidthShare", result.Value / limit);
            }
        }

        if (Speed("transformer") is { } transformer)
        {
            foreach (var (variant, name) in new[] { ("f", "cofrgenetFOverGpt2"), ("fu", "cofrgenetOverGpt2") })
            {
                if (Speed(variant) is { } speed)
                {
                    report.AddRatio($"decode.{type}.{name}", speed / transformer);
                }
            }
        }
    }

    private void TimePrompts(
        IReadOnlyList<string> types, Dictionary<string, ModelConfig> models, Dictionary<string, DecodingWorkload> works, (int Prompt, int Rounds, int Threads) size, BenchmarkReport report)
    {
        Tool.Error.WriteLine($"prompts of {size.Prompt} tokens, {size.Rounds} rounds");
        var contest = new Contest();
        var peaks = new List<double>();
        contest.Add("peak", () => peaks.Add(MachineLimits.FusedMultiplyAddPeak(size.Threads)));
        foreach (var (variant, work) in works)
        {
            contest.Add($"{variant}.{Torch}", work.TorchPrefill);
            foreach (var type in types)
            {
                contest.Add($"{variant}.{type}", () => work.Prefill(type));
            }
        }

        contest.Run(size.Rounds, warmUps: 2, Tool.Stop);
        var peak = Contest.Median(peaks.Skip(2));
        report.Add("limit.multiplyAdd", peak / 1e9, "GFLOP/s");
        foreach (var (variant, model) in models)
        {
            // Causal work as at a context of the prompt's length; logits of the last token alone.
            var count = FlopCount.Of(model with { ContextLength = size.Prompt });
            var operations = ((double)(count.Mixer + count.FeedForward) * size.Prompt) + count.Head;
            foreach (var type in types.Prepend(Torch))
            {
                report.Add($"prefill.{type}.{variant}", size.Prompt / contest.Seconds($"{variant}.{type}"), "tokens/s", peak / operations * size.Prompt);
            }

            foreach (var type in types)
            {
                var name = $"prefill.{type}.{(variant == "transformer" ? "transformer" : variant == "f" ? "cofrgenetF" : "cofrgenet")}";
                report.AddRatio($"{name}.peakShare", operations / contest.Seconds($"{variant}.{type}") / peak);
                report.AddRatio($"{name}.engineOverTorch", contest.TimesFaster($"{variant}.{type}", $"{variant}.{Torch}"));
            }
        }
    }
}
