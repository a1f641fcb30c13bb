using System.Collections;
using System.Globalization;
using System.Text.Json;
using CoFrGeNet.Configuration;
using CoFrGeNet.Generation;
using Microsoft.Extensions.AI;

namespace CoFrGeNet.Inference;

/// <summary>
/// Reads <see cref="ChatOptions"/>. A member that is absent means the default, an explicit 0 means 0. What <see cref="ChatOptions"/> has no member for is read from
/// <see cref="ChatOptions.AdditionalProperties"/> by vLLM's names: <c>min_p</c>, <c>repetition_penalty</c>, <c>min_tokens</c>, <c>ignore_eos</c>, <c>stop_token_ids</c>,
/// <c>logit_bias</c> (by id), <c>logprobs</c>, <c>top_logprobs</c>; others are left alone.
/// </summary>
public static class ChatSampling
{
    /// <summary>Reads options.</summary>
    /// <param name="options">The options, or null.</param>
    /// <param name="defaults">What absent members mean.</param>
    /// <exception cref="UserErrorException">An option is out of range, or asks for what a plain language model cannot give: JSON, or a call of a tool.</exception>
    public static SamplingOptions Read(ChatOptions? options, SamplingOptions defaults)
    {
        ArgumentNullException.ThrowIfNull(defaults);
        if (options is null)
        {
            return defaults;
        }

        Refuse(options.ResponseFormat is ChatResponseFormatJson, nameof(ChatOptions.ResponseFormat), "JSON", "plain text");
        Refuse(options.ToolMode is RequiredChatToolMode, nameof(ChatOptions.ToolMode), "a call that is required", "automatic or none");
        var more = options.AdditionalProperties;
        return (defaults with
        {
            Temperature = Exact(options.Temperature) ?? defaults.Temperature,
            TopP = Exact(options.TopP) ?? defaults.TopP,
            TopK = options.TopK ?? defaults.TopK,
            Seed = options.Seed ?? defaults.Seed,
            MaxTokens = options.MaxOutputTokens ?? defaults.MaxTokens,
            FrequencyPenalty = Exact(options.FrequencyPenalty) ?? defaults.FrequencyPenalty,
            PresencePenalty = Exact(options.PresencePenalty) ?? defaults.PresencePenalty,
            Stop = options.StopSequences is { } stop ? [.. stop] : defaults.Stop,
            MinP = Number(more, "min_p") ?? defaults.MinP,
            RepetitionPenalty = Number(more, "repetition_penalty") ?? defaults.RepetitionPenalty,
            MinTokens = Whole(more, "min_tokens") ?? defaults.MinTokens,
            IgnoreEndOfText = Flag(more, "ignore_eos") ?? defaults.IgnoreEndOfText,
            StopIds = Ids(more, "stop_token_ids") ?? defaults.StopIds,
            LogitBias = Bias(more, "logit_bias") ?? defaults.LogitBias,
            LogProbabilities = Whole(more, "top_logprobs") ?? (Flag(more, "logprobs") is { } wanted ? wanted ? 0 : null : defaults.LogProbabilities),
        }).Validate(new ConfigCheck(NameOf));
    }

    private static string NameOf(string member) => member switch
    {
        "maxTokens" => nameof(ChatOptions.MaxOutputTokens),
        "stop" => nameof(ChatOptions.StopSequences),
        _ => char.ToUpperInvariant(member[0]) + member[1..],
    };

    private static void Refuse(bool condition, string member, string given, string allowed) =>
        new ConfigCheck(NameOf).That(!condition, member, given, allowed);

    // 0.9f is meant as 0.9, not as the float64 nearest to the float32: so a text has the same draws with either.
    private static double? Exact(float? value) => value is { } given ? double.Parse(given.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture) : null;

    private static double? Number(AdditionalPropertiesDictionary? properties, string name) => Find(properties, name) is { } value
        ? ToNumber(value) ?? throw Wrong(name, value, "a number")
        : null;

    private static int? Whole(AdditionalPropertiesDictionary? properties, string name) => Number(properties, name) is { } number
        ? number == Math.Floor(number) && Math.Abs(number) <= int.MaxValue ? (int)number : throw Wrong(name, number, "a whole number")
        : null;

    private static bool? Flag(AdditionalPropertiesDictionary? properties, string name) => Find(properties, name) switch
    {
        null => null,
        bool flag => flag,
        JsonElement { ValueKind: JsonValueKind.True } => true,
        JsonElement { ValueKind: JsonValueKind.False } => false,
        var other => throw Wrong(name, other, "true or false"),
    };

    private static int[]? Ids(AdditionalPropertiesDictionary? properties, string name) => Find(properties, name) switch
    {
        null => null,
        JsonElement { ValueKind: JsonValueKind.Array } list => [.. list.EnumerateArray().Select(entry => ToId(entry, name))],
        IEnumerable list and not string => [.. list.Cast<object>().Select(entry => ToId(entry, name))],
        var other => throw Wrong(name, other, "a list of ids"),
    };

    private static Dictionary<int, double>? Bias(AdditionalPropertiesDictionary? properties, string name)
    {
        var entries = Find(properties, name) switch
        {
            null => null,
            IEnumerable<KeyValuePair<int, double>> byId => byId.Select(entry => ((object)entry.Key, (object)entry.Value)),
            IEnumerable<KeyValuePair<int, float>> byId => byId.Select(entry => ((object)entry.Key, (object)entry.Value)),
            IEnumerable<KeyValuePair<string, double>> byText => byText.Select(entry => ((object)entry.Key, (object)entry.Value)),
            JsonElement { ValueKind: JsonValueKind.Object } members => members.EnumerateObject().Select(member => ((object)member.Name, (object)member.Value)),
            var other => throw Wrong(name, other, "a number for each id"),
        };
        return entries?.ToDictionary(entry => ToId(entry.Item1, name), entry => ToNumber(entry.Item2) ?? throw Wrong(name, entry.Item2, "a number for each id"));
    }

    private static object? Find(AdditionalPropertiesDictionary? properties, string name) =>
        properties is not null && properties.TryGetValue(name, out var value) && value is not JsonElement { ValueKind: JsonValueKind.Null or JsonValueKind.Undefined } ? value : null;

    private static int ToId(object value, string name) => ToNumber(value) is { } number && number == Math.Floor(number) && Math.Abs(number) <= int.MaxValue
        ? (int)number
        : throw Wrong(name, value, "whole numbers as ids");

    private static double? ToNumber(object value) => value switch
    {
        double number => number,
        float number => Exact(number),
        int number => number,
        long number => number,
        decimal number => (double)number,
        JsonElement { ValueKind: JsonValueKind.Number } number => number.GetDouble(),
        string text when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) => number,
        _ => null,
    };

    private static UserErrorException Wrong(string name, object value, string allowed) => new($"AdditionalProperties[\"{name}\"] is {value}; allowed is {allowed}.");
}
