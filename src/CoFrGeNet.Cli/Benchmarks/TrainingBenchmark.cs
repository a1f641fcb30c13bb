using System.CommandLine;
using System.Globalization;
using CoFrGeNet.Configuration;
using static TorchSharp.torch;

namespace CoFrGeNet.Cli;

/// <summary>bench train: training steps of a transformer and of the same with continued fractions, beside the rate of a matrix product.</summary>
internal sealed class TrainingBenchmark : Verb
{
    // Products of the shape of GPT-2's widest layer, of at least as many rows as a step has; some in a row, since a device is slow to begin.
    private const long Rows = 2048, Inner = 768, Columns = 3072;
    private const int Products = 8;
    private const string Product = "product";

    private readonly TorchOptions _torch = new();
    private readonly Option<string> _preset = new("--preset") { Description = "The transformer; its variants -f and -fu stand for both parts of the paper", HelpName = "NAME", DefaultValueFactory = _ => "gpt2" };
    private readonly Option<string> _variants = new("--variants") { Description = "What is timed, of transformer, f and fu", HelpName = "LIST", DefaultValueFactory = _ => "transformer,f,fu" };
    private readonly Option<string> _types = new("--types") { Description = "Types of the matrix products, of f32 and bf16", HelpName = "LIST", DefaultValueFactory = _ => "f32,bf16" };
    private readonly Option<int> _context = new("--context") { Description = "Tokens of a sequence", HelpName = "N", DefaultValueFactory = _ => 256 };
    private readonly Option<int> _sequences = new("--sequences") { Description = "Sequences of a step", HelpName = "N", DefaultValueFactory = _ => 4 };
    private readonly Option<int> _rounds = new("--rounds") { Description = "Timed rounds; the median counts", HelpName = "N", DefaultValueFactory = _ => 5 };

    /// <summary>Creates the subcommand.</summary>
    /// <param name="console">Where it writes.</param>
    public TrainingBenchmark(ToolConsole console)
        : base("train", "Time training steps: continued fractions against the transformer that they replace", console) =>
        Accept([_preset, _variants, _types, _context, _sequences, _rounds, .. _torch.Options]);

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        int context = Positive(arguments, _context), sequences = Positive(arguments, _sequences), rounds = Positive(arguments, _rounds);
        var variants = List(arguments, _variants, "transformer", "f", "fu");
        var types = List(arguments, _types, "f32", "bf16");
        var preset = arguments.GetValue(_preset)!;
        var models = variants.ToDictionary(variant => variant, variant => Model(preset, variant, context));
        var device = _torch.Start(arguments);
        var report = new BenchmarkReport();
        var speeds = new Dictionary<(string Type, string Variant), double>();
        foreach (var type in types)
        {
            Time(type, models, sequences, rounds, device, report, speeds);
        }

        AddRatios(report, types, speeds);
        report.Add("process.peakMemory", PeakMemory() / (double)(1 << 20), "MiB");
        if (IsJson(arguments))
        {
            WriteJson(report.Document(new { preset, context, sequences, rounds, Threads = get_num_threads(), Device = device.ToString() }));
        }
        else
        {
            report.Write(Tool.Output);
        }

        return ExitCode.Done;
    }

    private void Time(
        string type, Dictionary<string, ModelConfig> models, int sequences, int rounds, Device device, BenchmarkReport report, Dictionary<(string Type, string Variant), double> speeds)
    {
        Tool.Error.WriteLine($"{type}: building, checking, then timing {rounds} rounds");
        var scalarType = type == "bf16" ? ScalarType.BFloat16 : ScalarType.Float32;
        var works = new Dictionary<string, TrainingWorkload>();
        var rows = Math.Max(Rows, models.Values.Max(model => (long)sequences * model.ContextLength));
        using var left = randn(rows, Inner, device: device).to_type(scalarType);
        using var right = randn(Columns, Inner, device: device).to_type(scalarType);
        try
        {
            var contest = new Contest();
            contest.Add(Product, () => Multiply(left, right));
            foreach (var (variant, config) in models)
            {
                var work = works[variant] = new TrainingWorkload(config, scalarType, sequences, device);
                Check(variant, config, work);
                contest.Add(variant, () => work.Step());
            }

            contest.Run(rounds, warmUps: 1, Tool.Stop);
            var rate = 2.0 * Products * rows * Inner * Columns / contest.Seconds(Product);
            report.Add($"{type}.product", rate / 1e9, "GFLOP/s");
            foreach (var (variant, work) in works)
            {
                var seconds = contest.Seconds(variant);
                speeds[(type, variant)] = work.Tokens / seconds;
                report.Add($"{type}.{variant}.speed", work.Tokens / seconds, "tokens/s", rate * work.Tokens / work.Operations);
            }
        }
        finally
        {
            foreach (var work in works.Values)
            {
                work.Dispose();
            }
        }

        foreach (var (variant, name) in new[] { ("transformer", "transformerMfu"), ("f", "mfu"), ("fu", "cofrgenetMfu") })
        {
            if (report.Find($"{type}.{variant}.speed") is { Limit: { } limit } result)
            {
                report.AddRatio($"train.{type}.{name}", result.Value / limit);
            }
        }
    }

    private static void Multiply(Tensor left, Tensor right)
    {
        for (var i = 0; i < Products; i++)
        {
            nn.functional.linear(left, right).Dispose();
        }

        Contest.WaitFor(left);
    }

    // A model that does not learn is not worth timing: fresh, it knows nothing of random tokens; after steps on the same ones, something.
    private static void Check(string variant, ModelConfig config, TrainingWorkload work)
    {
        double first = work.Step(), last = work.Step();
        var unknown = Math.Log(config.VocabularySize);
        if (!(Math.Abs(first - unknown) < 1) || !(last < first))
        {
            throw new InvalidOperationException(FormattableString.Invariant(
                $"The losses of the first steps of {variant} are {first} and {last}; a fresh model's are near {unknown} and fall."));
        }
    }

    private static void AddRatios(BenchmarkReport report, IReadOnlyList<string> types, Dictionary<(string Type, string Variant), double> speeds)
    {
        void Add(string name, (string Type, string Variant) one, (string Type, string Variant) other)
        {
            if (speeds.TryGetValue(one, out var fast) && speeds.TryGetValue(other, out var slow))
            {
                report.AddRatio(name, fast / slow);
            }
        }

        foreach (var type in types)
        {
            Add($"train.{type}.cofrgenetFOverGpt2", (type, "f"), (type, "transformer"));
            Add($"train.{type}.cofrgenetOverGpt2", (type, "fu"), (type, "transformer"));
        }

        foreach (var variant in new[] { "transformer", "f", "fu" })
        {
            Add($"train.{variant}.bf16OverF32", ("bf16", variant), ("f32", variant));
        }
    }

    private static ModelConfig Model(string preset, string variant, int context)
    {
        var (model, _) = PresetLibrary.Get(variant == "transformer" ? preset : $"{preset}-{variant}");
        return (model with { ContextLength = context }).Validate();
    }

    // The highest resident memory of the process so far, in bytes.
    private static long PeakMemory()
    {
        const string member = "VmHWM:";
        var line = OperatingSystem.IsLinux() ? File.ReadLines("/proc/self/status").FirstOrDefault(text => text.StartsWith(member, StringComparison.Ordinal)) : null;
        return line is null ? Environment.WorkingSet : long.Parse(line[member.Length..^3], CultureInfo.InvariantCulture) << 10;
    }
}
