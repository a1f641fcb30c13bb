using CoFrGeNet.Configuration;

namespace CoFrGeNet.Generation;

/// <summary>How the next token is chosen, and when a text ends.</summary>
public sealed record SamplingOptions
{
    /// <summary>Divides the logits: below 1 sharpens, above 1 flattens; 0 takes the most likely token (greedy).</summary>
    public double Temperature { get; init; } = 0.8;

    /// <summary>Only the k most likely tokens are drawn from; 0: all.</summary>
    public int TopK { get; init; }

    /// <summary>Only the most likely tokens whose probabilities reach this sum are drawn from; 1: all.</summary>
    public double TopP { get; init; } = 1.0;

    /// <summary>Seed of the draws; absent: a random one.</summary>
    public int? Seed { get; init; }

    /// <summary>Most tokens to generate.</summary>
    public int MaxTokens { get; init; } = 200;

    /// <summary>Texts that end the generation; neither they nor what follows is part of the result.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>Checks every member.</summary>
    /// <returns>These options.</returns>
    /// <exception cref="UserErrorException">A member is out of range; the message calls it <c>sampling.member</c>.</exception>
    public SamplingOptions Validate() => Validate(new ConfigCheck("sampling"));

    /// <summary>Checks every member.</summary>
    /// <param name="at">Knows what the user calls a member.</param>
    /// <returns>These options.</returns>
    /// <exception cref="UserErrorException">A member is out of range.</exception>
    public SamplingOptions Validate(ConfigCheck at)
    {
        at.That(Temperature >= 0 && double.IsFinite(Temperature), "temperature", $"{Temperature}", "0 (greedy) or more");
        at.AtLeast(TopK, 0, "topK");
        at.That(TopP is > 0 and <= 1, "topP", $"{TopP}", "a number above 0, up to 1 (all tokens)");
        at.AtLeast(MaxTokens, 1, "maxTokens");
        at.That(Stop.All(text => text.Length > 0), "stop", "an empty text", "a text of one character or more");
        return this;
    }
}
