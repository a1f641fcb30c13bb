using System.Globalization;
using System.Text.Json;
using CoFrGeNet.Client;
using CoFrGeNet.Configuration;
using CoFrGeNet.Generation;

namespace CoFrGeNet.Server;

/// <summary>Turns what a request says about drawing into <see cref="SamplingOptions"/>, and its mistakes into errors that name the member.</summary>
internal static class SamplingParser
{
    // Each is looked for at each token; OpenAI takes 4, the evaluation harness sends some dozens.
    private const int MostStops = 256;
    private const int LongestStop = 1024;

    /// <summary>Reads the members that all requests share.</summary>
    /// <param name="request">The request.</param>
    /// <param name="model">The model.</param>
    /// <param name="maxTokens">Most tokens to generate, 1 or more.</param>
    /// <param name="logprobs">How many likeliest tokens are listed with each; null: no log-probabilities.</param>
    /// <exception cref="ApiException">A member is out of range.</exception>
    public static SamplingOptions Parse(ISamplingRequest request, ModelHost model, int maxTokens, int? logprobs)
    {
        Range(request.PresencePenalty, 2, "presence_penalty");
        Range(request.FrequencyPenalty, 2, "frequency_penalty");
        if (request.TopK is < -1)
        {
            throw ApiException.Invalid("top_k", $"top_k is {request.TopK}; allowed is 1 or more, and 0 or -1 for all tokens.");
        }

        if (request.Stop is { Count: > MostStops } || request.Stop?.Any(text => text is { Length: > LongestStop }) == true)
        {
            throw ApiException.Invalid("stop", $"stop has {request.Stop.Count} texts, the longest of {request.Stop.Max(text => text?.Length)} characters; allowed are {MostStops} texts of {LongestStop} characters.");
        }

        string? member = null;
        var check = new ConfigCheck(name => member = JsonNamingPolicy.SnakeCaseLower.ConvertName(name) is "stop_ids" ? "stop_token_ids" : JsonNamingPolicy.SnakeCaseLower.ConvertName(name));
        try
        {
            var options = new SamplingOptions
            {
                Temperature = request.Temperature ?? 1,
                TopP = request.TopP ?? 1,
                TopK = Math.Max(0, request.TopK ?? 0),
                MinP = request.MinP ?? 0,
                RepetitionPenalty = request.RepetitionPenalty ?? 1,
                PresencePenalty = request.PresencePenalty ?? 0,
                FrequencyPenalty = request.FrequencyPenalty ?? 0,
                LogitBias = Biases(request.LogitBias),
                MaxTokens = maxTokens,
                MinTokens = request.MinTokens ?? 0,
                Stop = request.Stop ?? [],
                StopIds = request.StopTokenIds ?? [],
                IgnoreEndOfText = request.IgnoreEos ?? false,
                LogProbabilities = logprobs,
            }.Validate(check);
            options.ValidateIds(check, model.Model.KnownIds);
            return options;
        }
        catch (UserErrorException error)
        {
            throw ApiException.Invalid(member, error.Message);
        }
    }

    /// <summary>The samplers of a prompt's choices, each with a seed of its own.</summary>
    /// <param name="options">How to draw.</param>
    /// <param name="seed">The request's seed, or null.</param>
    /// <param name="choices">How many.</param>
    public static IReadOnlyList<Sampler?> Samplers(SamplingOptions options, long? seed, int choices) =>
        [.. Enumerable.Range(0, choices).Select(i => new Sampler(options with { Seed = unchecked(seed + i) }))];

    /// <summary>Checks the members that say how the answer comes.</summary>
    /// <param name="request">The request.</param>
    /// <exception cref="ApiException">Options of a stream without a stream.</exception>
    public static void CheckStream(ISamplingRequest request)
    {
        if (request.StreamOptions is not null && request.Stream != true)
        {
            throw ApiException.Invalid("stream_options", "stream_options is only allowed with stream: true.");
        }
    }

    /// <summary>Checks a number of choices.</summary>
    /// <param name="count">Choices of a prompt.</param>
    /// <param name="prompts">Number of prompts.</param>
    /// <param name="options">Holds the limit.</param>
    /// <param name="member">What the request calls it.</param>
    /// <exception cref="ApiException">There are too many, or none.</exception>
    public static int Choices(int count, int prompts, ServerOptions options, string member)
    {
        if (count < 1)
        {
            throw ApiException.Invalid(member, $"{member} is {count}; allowed is 1 or more.");
        }

        if (prompts > options.MaxChoices)
        {
            throw ApiException.Invalid("prompt", $"{prompts} prompts are more than this server allows a request: {options.MaxChoices}.");
        }

        return (long)count * prompts <= options.MaxChoices
            ? count
            : throw ApiException.Invalid(member, $"{prompts} prompts with {member} {count} are {(long)count * prompts} choices; this server allows {options.MaxChoices} a request.");
    }

    /// <summary>Checks a number of likeliest tokens.</summary>
    /// <param name="count">The number, or null.</param>
    /// <param name="options">Holds the limit.</param>
    /// <param name="member">What the request calls it.</param>
    /// <exception cref="ApiException">It is out of range.</exception>
    public static int? Logprobs(int? count, ServerOptions options, string member) => count is null || (count >= 0 && count <= options.MaxLogprobs)
        ? count
        : throw ApiException.Invalid(member, $"{member} is {count}; allowed are 0 to {options.MaxLogprobs}.");

    /// <summary>Checks a number of tokens to generate.</summary>
    /// <param name="tokens">The number.</param>
    /// <param name="least">The least that is allowed.</param>
    /// <param name="options">Holds the limit.</param>
    /// <param name="member">What the request calls it.</param>
    /// <exception cref="ApiException">It is out of range.</exception>
    public static int MaxTokens(int tokens, int least, ServerOptions options, string member)
    {
        var most = options.MaxTokens ?? int.MaxValue;
        return tokens >= least && tokens <= most
            ? tokens
            : throw ApiException.Invalid(member, $"{member} is {tokens}; allowed is {least} {(options.MaxTokens is null ? "or more" : $"to {most}")}.");
    }

    /// <summary>Checks the length of a prompt.</summary>
    /// <param name="ids">The prompt.</param>
    /// <param name="model">The model.</param>
    /// <param name="options">Holds the limit.</param>
    /// <param name="member">What the request calls it.</param>
    /// <exception cref="ApiException">It is too long, or an id is unknown.</exception>
    public static int[] Prompt(int[] ids, ModelHost model, ServerOptions options, string member)
    {
        if (ids.Length > model.ContextLength)
        {
            throw ApiException.Invalid(
                member,
                $"This model's context holds {model.ContextLength} tokens, and the prompt has {ids.Length}; shorten it by {ids.Length - model.ContextLength} (lm_eval: add max_length={model.ContextLength} to --model_args).",
                "context_length_exceeded");
        }

        if (ids.Length > (options.MaxPromptTokens ?? int.MaxValue))
        {
            throw ApiException.Invalid(member, $"The prompt has {ids.Length} tokens; this server allows {options.MaxPromptTokens}.", "prompt_too_long");
        }

        try
        {
            return model.Encoder.Check(ids);
        }
        catch (UserErrorException error)
        {
            throw ApiException.Invalid(member, error.Message);
        }
    }

    private static void Range(double? value, double most, string member)
    {
        if (value is { } given && !(Math.Abs(given) <= most))
        {
            throw ApiException.Invalid(member, $"{member} is {given.ToString(CultureInfo.InvariantCulture)}; allowed are -{most} to {most}.");
        }
    }

    private static Dictionary<int, double> Biases(IReadOnlyDictionary<string, double>? given)
    {
        var biases = new Dictionary<int, double>();
        foreach (var (key, bias) in given ?? new Dictionary<string, double>())
        {
            if (!int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out var id))
            {
                throw ApiException.Invalid("logit_bias", $"logit_bias has the key '{key}'; allowed are token ids.");
            }

            Range(bias, 100, "logit_bias");
            biases[id] = bias;
        }

        return biases;
    }
}
