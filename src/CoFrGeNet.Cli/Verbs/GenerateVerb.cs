using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using CoFrGeNet.Configuration;
using CoFrGeNet.Generation;

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
    private readonly Option<double> _minP = new("--min-p") { Description = "Draw from tokens at least this likely beside the most likely one; 0: from all", HelpName = "P", DefaultValueFactory = _ => Defaults.MinP };
    private readonly Option<double> _repetitionPenalty = new("--repetition-penalty") { Description = "Above 1: tokens of prompt and text become less likely", HelpName = "X", DefaultValueFactory = _ => Defaults.RepetitionPenalty };
    private readonly Option<double> _presencePenalty = new("--presence-penalty") { Description = "Subtracted from the logits of tokens that the text holds", HelpName = "X", DefaultValueFactory = _ => Defaults.PresencePenalty };
    private readonly Option<double> _frequencyPenalty = new("--frequency-penalty") { Description = "Subtracted from a token's logit each time that the text holds it", HelpName = "X", DefaultValueFactory = _ => Defaults.FrequencyPenalty };
    private readonly Option<string[]> _logitBias = new("--logit-bias") { Description = "Added to a token's logit, for example 50256=-100; may be given several times", HelpName = "ID=X" };
    private readonly Option<int[]> _stopIds = new("--stop-ids") { Description = "End at this token; may be given several times", HelpName = "ID" };
    private readonly Option<int> _minTokens = new("--min-tokens") { Description = "As many tokens come before anything ends the text", HelpName = "N", DefaultValueFactory = _ => Defaults.MinTokens };
    private readonly Option<bool> _ignoreEnd = new("--ignore-end-of-text") { Description = "Go on after the end-of-text token" };
    private readonly Option<int?> _logProbabilities = new("--log-probabilities") { Description = "With --json: the log-probability of each token and of the N likeliest", HelpName = "N" };
    private readonly EngineOptions _engine = new(isManaged: true);

    /// <summary>Creates the verb.</summary>
    /// <param name="console">Where it writes.</param>
    public GenerateVerb(ToolConsole console)
        : base("generate", "Continue a prompt with a trained model", console) => Accept(
        [
            _model, _prompt, _maxTokens, _temperature, _topK, _topP, _minP, _seed, _stop, _repetitionPenalty, _presencePenalty, _frequencyPenalty, _logitBias, _stopIds, _minTokens, _ignoreEnd,
            _logProbabilities, .. _engine.Options,
        ]);

    /// <inheritdoc/>
    protected override int Run(ParseResult arguments)
    {
        var options = new SamplingOptions
        {
            MaxTokens = arguments.GetValue(_maxTokens),
            Temperature = arguments.GetValue(_temperature),
            TopK = arguments.GetValue(_topK),
            TopP = arguments.GetValue(_topP),
            MinP = arguments.GetValue(_minP),
            Seed = arguments.GetValue(_seed),
            Stop = arguments.GetValue(_stop) ?? [],
            RepetitionPenalty = arguments.GetValue(_repetitionPenalty),
            PresencePenalty = arguments.GetValue(_presencePenalty),
            FrequencyPenalty = arguments.GetValue(_frequencyPenalty),
            LogitBias = (arguments.GetValue(_logitBias) ?? []).Select(ParseBias).ToDictionary(),
            StopIds = arguments.GetValue(_stopIds) ?? [],
            MinTokens = arguments.GetValue(_minTokens),
            IgnoreEndOfText = arguments.GetValue(_ignoreEnd),
            LogProbabilities = arguments.GetValue(_logProbabilities),
        }.Validate(new ConfigCheck(member => "--" + JsonNamingPolicy.KebabCaseLower.ConvertName(member)));
        return _engine.With(
            arguments,
            arguments.GetRequiredValue(_model),
            (model, tokenizer) => Generate(new TextGenerator(model, tokenizer), arguments.GetRequiredValue(_prompt), new Sampler(options), IsJson(arguments)));
    }

    private static KeyValuePair<int, double> ParseBias(string text)
    {
        var parts = text.Split('=');
        return parts.Length == 2 && int.TryParse(parts[0], CultureInfo.InvariantCulture, out var id) && double.TryParse(parts[1], CultureInfo.InvariantCulture, out var bias)
            ? new(id, bias)
            : throw new UserErrorException($"--logit-bias is '{text}'; write ID=X, for example 50256=-100.");
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
            WriteJson(new
            {
                Prompt = prompt,
                result.Text,
                result.Tokens,
                FinishReason = result.Finish,
                TokensPerSecond = speed,
                sampler.Seed,
                LogProbabilities = sampler.Options.LogProbabilities is null ? null : result.LogProbabilities,
            });
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
