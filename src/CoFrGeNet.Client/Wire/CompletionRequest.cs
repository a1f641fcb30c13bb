using System.Text.Json.Serialization;

namespace CoFrGeNet.Client;

/// <summary>
/// The body of <c>POST /v1/completions</c>, in OpenAI's form with vLLM's extensions. An absent or null member has its default; unknown members are ignored.
/// </summary>
public sealed record CompletionRequest : ISamplingRequest
{
    /// <summary>The model's name, one of <c>GET /v1/models</c>; may be absent where only one is served.</summary>
    public string? Model { get; init; }

    /// <summary>What is continued: a text, a list of texts, token ids, or a list of lists of token ids.</summary>
    public PromptInput? Prompt { get; init; }

    /// <summary>Most tokens to generate for each choice; default 16. 0 generates nothing, of use with <c>echo</c>.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Divides the logits; default 1, 0 takes the most likely token.</summary>
    public double? Temperature { get; init; }

    /// <summary>Draw from the most likely tokens whose probabilities reach this sum; default 1.</summary>
    public double? TopP { get; init; }

    /// <summary>Choices for each prompt; default 1.</summary>
    public int? N { get; init; }

    /// <summary>Generates so many and gives back the <c>n</c> with the highest log-probability a token; default n.</summary>
    public int? BestOf { get; init; }

    /// <summary>Whether the answer comes in pieces.</summary>
    public bool? Stream { get; init; }

    /// <summary>What a stream holds beside the pieces.</summary>
    public StreamOptions? StreamOptions { get; init; }

    /// <summary>Log-probabilities of each token and of so many most likely ones.</summary>
    public int? Logprobs { get; init; }

    /// <summary>Whether the prompt comes first in the answer, with its log-probabilities if those are asked for.</summary>
    public bool? Echo { get; init; }

    /// <summary>Texts that end a choice; not part of it.</summary>
    [JsonConverter(typeof(TextOrListConverter))]
    public IReadOnlyList<string>? Stop { get; init; }

    /// <summary>Lowers the logit of tokens that were generated already, once; -2 to 2.</summary>
    public double? PresencePenalty { get; init; }

    /// <summary>Lowers the logit of tokens that were generated already, each time; -2 to 2.</summary>
    public double? FrequencyPenalty { get; init; }

    /// <summary>Added to the logits of tokens, by their id as text; -100 to 100.</summary>
    public IReadOnlyDictionary<string, double>? LogitBias { get; init; }

    /// <summary>Seed of the draws; choice i of a prompt draws with seed + i. Absent: random.</summary>
    public long? Seed { get; init; }

    /// <summary>Text after the gap; these models continue only, so it is refused.</summary>
    public string? Suffix { get; init; }

    /// <summary>Who asks; not used.</summary>
    public string? User { get; init; }

    /// <summary>vLLM: draw from so many most likely tokens; 0 or -1: from all.</summary>
    public int? TopK { get; init; }

    /// <summary>vLLM: draw from tokens at least this share as likely as the most likely one; 0: from all.</summary>
    public double? MinP { get; init; }

    /// <summary>vLLM: divides positive and multiplies negative logits of tokens in the prompt or the text so far; 1: off.</summary>
    public double? RepetitionPenalty { get; init; }

    /// <summary>vLLM: goes on after the end-of-text token.</summary>
    public bool? IgnoreEos { get; init; }

    /// <summary>vLLM: no end before so many tokens.</summary>
    public int? MinTokens { get; init; }

    /// <summary>vLLM: tokens that end a choice.</summary>
    public IReadOnlyList<int>? StopTokenIds { get; init; }

    /// <summary>vLLM: whether the begin-of-text token comes before a text prompt where the tokenizer has one; default true.</summary>
    public bool? AddSpecialTokens { get; init; }

    /// <summary>vLLM: whether the answer holds the token ids too.</summary>
    public bool? ReturnTokenIds { get; init; }
}
