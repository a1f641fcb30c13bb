using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using CoFrGeNet.Configuration;
using CoFrGeNet.Generation;
using CoFrGeNet.Torch;

namespace CoFrGeNet.Cli;

/// <summary>generate: continues a prompt.</summary>
internal sealed class GenerateVerb : Verb
{
    private static readonly SamplingOptions Defaults = new();

    private readonly Option<string> _model = new("--model") { Description = "A model folder, for example RUN/final", HelpName = "DIR", Required = true };
    private readonly Option<string> _prompt = new("--prompt") { Description = "The text to continue; empty starts a new text", HelpName = "TEXT", Required = true };
    private readonly Option<int> _maxTokens = new("--max-tokens") { Description = "Most tokens to generate", HelpName = "N", DefaultValueFactory = _ => Defaults.MaxTokens };
    private readonly Option<double> _temperature = new("--temperature") { Description = "Below 1 sharpens, above 1 flattens the distribution; 0 always takes the most likely token", HelpName = "X", DefaultValueFactory = _ => Defaults.Temperature };
    private readonly Option<int> _topK = new("--top-k") { Description = "Draw from the K most likely tokens only; 0: from all", HelpName = "K", DefaultValueFactory = _ => Defaults.TopK };
    private readonly Option<double> _topP = new("--top-p") { Description = "Draw from the most likely tokens whose probabilities reach P; 1: from all", HelpName = "P", DefaultValueFactory = _ => Defaults.TopP };
    private readonly Option<long?> _seed = new("--seed") { Description = "Seed of the draws [default: random, and printed]", HelpName = "N" };
    private readonly Option<string[]> _stop = new("--stop") { Description = "End before this text; may be given several times", HelpName = "TEXT" };
    private readonly TorchOptions _torch = new();

    /// <summary>Creates the verb.</summary>
    /// <param name="console">Where it writes.</param>
    public GenerateVerb(ToolConsole console)
        : base("generate", "Continue a prompt with a trained model", console) => Accept([_model, _prompt, _maxTokens, _temperature, _topK, _topP, _seed, _stop, .. _torch.Options]);

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        var options = new SamplingOptions
        {
            MaxTokens = arguments.GetValue(_maxTokens),
            Temperature = arguments.GetValue(_temperature),
            TopK = arguments.GetValue(_topK),
            TopP = arguments.GetValue(_topP),
            Seed = arguments.GetValue(_seed),
            Stop = arguments.GetValue(_stop) ?? [],
        }.Validate(new ConfigCheck(member => "--" + JsonNamingPolicy.KebabCaseLower.ConvertName(member)));
        var folder = arguments.GetRequiredValue(_model);
        // Before libtorch is loaded, which takes a second: the folder may be the wrong one.
        ModelFolder.ReadConfig(folder);
        var device = _torch.Start(arguments);
        var (model, tokenizer) = ModelFolder.Load(folder, device);
        using (model)
        {
            var generator = new TextGenerator(new TorchLanguageModel(model), tokenizer);
            return Generate(generator, arguments.GetRequiredValue(_prompt), new Sampler(options), IsJson(arguments));
        }
    }

    private int Generate(TextGenerator generator, string prompt, Sampler sampler, bool json)
    {
        var pieces = generator.Stream(prompt, sampler, Tool.Stop);
        if (!json)
        {
            Tool.Output.Write(prompt);
            pieces = pieces.Select(Show);
        }

        var clock = Stopwatch.StartNew();
        var result = GenerationResult.Collect(pieces);
        // With the end-of-text token every token that was computed counts.
        var speed = Math.Max(1, result.Tokens.Count) / clock.Elapsed.TotalSeconds;
        if (json)
        {
            WriteJson(new { Prompt = prompt, result.Text, result.Tokens, FinishReason = result.Finish, TokensPerSecond = speed, sampler.Seed });
            return ExitCode.Done;
        }

        Tool.Output.WriteLine();
        var seed = sampler.Options.Temperature == 0 ? "greedy" : $"seed {sampler.Seed}";
        Tool.Error.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"[{result.Tokens.Count} tokens, {speed:N0} tokens/s, ended by {result.Finish.ToString().ToLowerInvariant()}, {seed}]"));
        return ExitCode.Done;
    }

    private GeneratedPiece Show(GeneratedPiece piece)
    {
        Tool.Output.Write(piece.Text);
        Tool.Output.Flush();
        return piece;
    }
}
