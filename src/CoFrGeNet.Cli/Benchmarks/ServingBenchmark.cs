using System.CommandLine;
using System.Globalization;
using CoFrGeNet.Accounting;
using CoFrGeNet.Inference;
using CoFrGeNet.Server;
using CoFrGeNet.Text;
using CoFrGeNet.Torch;

namespace CoFrGeNet.Cli;

/// <summary>bench serve: streaming clients on a server in this process, beside the memory's read bandwidth. Every stream is compared with its run alone.</summary>
internal sealed class ServingBenchmark : Verb
{
    // Prompts times ways of drawing.
    private const int Kinds = 10;

    // The longest of the prompts of the load and some room, in tokens of a byte.
    private const int LongestPrompt = 64;

    private readonly TorchOptions _torch = new();
    private readonly Option<string> _model = new("--model") { Description = "The model folder", HelpName = "DIR", Required = true };
    private readonly Option<string> _clients = new("--clients") { Description = "Numbers of clients, one run after the other", HelpName = "LIST", DefaultValueFactory = _ => "1,16,64" };
    private readonly Option<int> _seconds = new("--seconds") { Description = "Seconds of each run", HelpName = "S", DefaultValueFactory = _ => 20 };
    private readonly Option<int> _tokens = new("--tokens") { Description = "Tokens of a stream", HelpName = "N", DefaultValueFactory = _ => 48 };
    private readonly Option<int> _slots = new("--slots") { Description = "Most sequences that are computed at once", HelpName = "N", DefaultValueFactory = _ => 64 };

    /// <summary>Creates the subcommand.</summary>
    /// <param name="console">Where it writes.</param>
    public ServingBenchmark(ToolConsole console)
        : base("serve", "Load a server with streaming clients, compare every stream with its run alone, and time it", console) =>
        Accept(_model, _clients, _seconds, _tokens, _slots, _torch.Threads);

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        var folder = arguments.GetValue(_model)!;
        var clients = Clients(arguments);
        int seconds = Positive(arguments, _seconds), tokens = Positive(arguments, _tokens), slots = Positive(arguments, _slots);
        var threads = _torch.ThreadCount(arguments);
        var config = ModelFolder.ReadConfig(folder);
        if (tokens + LongestPrompt > config.Model.ContextLength)
        {
            throw new UserErrorException($"--tokens is {tokens}; allowed is at most {config.Model.ContextLength - LongestPrompt}, since the model's context of {config.Model.ContextLength} holds the prompts too.");
        }

        using var model = InferenceModel.Load(folder, new InferenceOptions { Threads = threads });
        var served = new ServedModel { Name = "model", Model = model, Tokenizer = TokenizerFiles.Load(folder, config), Parameters = ParameterCount.Of(config.Model).Total };
        var options = new ServerOptions { Port = 0, AccessLog = false, Slots = slots, QueueLimit = Math.Max(slots, clients.Max()), MaxConnections = 2 * clients.Max() };
        var report = new BenchmarkReport();
        var checks = RunAsync(options, served, clients, (seconds, tokens, threads ?? Environment.ProcessorCount, model.PassBytes), report).GetAwaiter().GetResult();
        if (IsJson(arguments))
        {
            WriteJson(report.Document(new { model = folder, clients, seconds, tokens, slots, Threads = threads ?? Environment.ProcessorCount }));
        }
        else
        {
            report.Write(Tool.Output);
            Tool.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"All {checks:N0} streams equal their runs alone."));
        }

        return ExitCode.Done;
    }

    private async Task<int> RunAsync(
        ServerOptions options, ServedModel model, int[] clients, (int Seconds, int Tokens, int Threads, long PassBytes) size, BenchmarkReport report)
    {
        await using var server = ServerHost.Create(options, [model]);
        await server.StartAsync(Tool.Stop).ConfigureAwait(false);
        using var http = new HttpClient { BaseAddress = new Uri(server.Urls.First()) };
        var load = await ServingLoad.PrepareAsync(http, Kinds, size.Tokens, Tool.Stop).ConfigureAwait(false);
        var streams = 0;
        double first = 0;
        foreach (var count in clients)
        {
            Tool.Error.WriteLine($"{count} clients, {size.Seconds} seconds");
            var before = MachineLimits.ReadBandwidth(size.Threads, rounds: 3);
            var result = await load.RunAsync(count, TimeSpan.FromSeconds(size.Seconds)).ConfigureAwait(false);
            var bandwidth = Math.Max(before, MachineLimits.ReadBandwidth(size.Threads, rounds: 3));
            streams += result.Streams;
            var name = count.ToString(CultureInfo.InvariantCulture);
            report.Add($"{name}.bandwidth", bandwidth / 1e9, "GB/s");
            // One pass over the weights gives each sequence that runs a token.
            report.Add($"{name}.speed", result.TokensPerSecond, "tokens/s", Math.Min(count, options.Slots) * bandwidth / size.PassBytes);
            report.Add($"{name}.streams", result.Streams, "streams");
            report.Add($"{name}.tokens", result.Tokens, "tokens");
            report.Add($"{name}.firstToken.median", result.FirstToken(0.5), "ms");
            report.Add($"{name}.firstToken.95", result.FirstToken(0.95), "ms");
            report.Add($"{name}.memory.afterQuarter", result.MemoryEarly / (double)(1 << 20), "MiB");
            report.Add($"{name}.memory.atEnd", result.MemoryLate / (double)(1 << 20), "MiB");
            if (first > 0)
            {
                report.AddRatio($"serve.{name}Over{clients[0]}", result.TokensPerSecond / first);
            }

            report.AddRatio($"serve.{name}.memoryGrowth", (double)result.MemoryLate / result.MemoryEarly);
            first = first > 0 ? first : result.TokensPerSecond;
        }

        await server.StopAsync(CancellationToken.None).ConfigureAwait(false);
        return streams;
    }

    private int[] Clients(ParseResult arguments)
    {
        var given = arguments.GetValue(_clients)!;
        var parts = given.Split(',', StringSplitOptions.TrimEntries);
        var counts = parts.Select(part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count : 0).Distinct().ToArray();
        return Array.TrueForAll(counts, count => count is >= 1 and <= 1000)
            ? counts
            : throw new UserErrorException($"--clients is '{given}'; allowed are whole numbers from 1 to 1000, with commas between them.");
    }
}
