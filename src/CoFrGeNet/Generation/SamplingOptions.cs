using CoFrGeNet.Configuration;

namespace CoFrGeNet.Generation;

/// <summary>How the next token is chosen, and when a text ends. <see cref="Sampler"/> has the order of the steps.</summary>
public sealed record SamplingOptions
{
    // Beyond these logits become infinite or vanish.
    private const double LeastRepetitionPenalty = 0.01;
    private const double MostRepetitionPenalty = 100;

    /// <summary>Divides the logits: below 1 sharpens, above 1 flattens; 0 takes the most likely token (greedy).</summary>
    public double Temperature { get; init; } = 0.8;

    /// <summary>Only the k most likely tokens are drawn from; 0: all.</summary>
    public int TopK { get; init; }

    /// <summary>Only the most likely tokens whose probabilities reach this sum are drawn from; 1: all.</summary>
    public double TopP { get; init; } = 1.0;

    /// <summary>Only tokens at least this likely, as a share of the most likely one's probability, are drawn from; 0: all.</summary>
    public double MinP { get; init; }

    /// <summary>Above 1: tokens of the prompt and of the text so far become less likely; their logits are divided by it where positive, otherwise multiplied. 0.01 to 100; 1: off.</summary>
    public double RepetitionPenalty { get; init; } = 1.0;

    /// <summary>Subtracted from the logits of tokens that the text so far holds, the prompt not counted; 0: off.</summary>
    public double PresencePenalty { get; init; }

    /// <summary>Subtracted from a token's logit once for each time that the text so far holds it, the prompt not counted; 0: off.</summary>
    public double FrequencyPenalty { get; init; }

    /// <summary>Added to the logits of tokens, by id.</summary>
    public IReadOnlyDictionary<int, double> LogitBias { get; init; } = System.Collections.ObjectModel.ReadOnlyDictionary<int, double>.Empty;

    /// <summary>Seed of the draws; absent: a random one.</summary>
    public long? Seed { get; init; }

    /// <summary>Most tokens to generate.</summary>
    public int MaxTokens { get; init; } = 200;

    /// <summary>As many tokens come before anything but <see cref="MaxTokens"/> may end the text: tokens that end it are not drawn, stop texts not looked for.</summary>
    public int MinTokens { get; init; }

    /// <summary>Texts that end the generation; neither they nor what follows is part of the result.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>Tokens that end the generation, beside the end-of-text token; they are no part of the text.</summary>
    public IReadOnlyList<int> StopIds { get; init; } = [];

    /// <summary>Whether the text goes on after an end-of-text token, which then adds nothing to it.</summary>
    public bool IgnoreEndOfText { get; init; }

    /// <summary>Gives with each token its log-probability and those of as many likeliest tokens; absent: none.</summary>
    public int? LogProbabilities { get; init; }

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
        at.Between(MinP, 0, 1, "minP");
        at.That(RepetitionPenalty is >= LeastRepetitionPenalty and <= MostRepetitionPenalty, "repetitionPenalty", $"{RepetitionPenalty}", $"{LeastRepetitionPenalty} to {MostRepetitionPenalty}");
        at.That(double.IsFinite(PresencePenalty), "presencePenalty", $"{PresencePenalty}", "a finite number");
        at.That(double.IsFinite(FrequencyPenalty), "frequencyPenalty", $"{FrequencyPenalty}", "a finite number");
        at.AtLeast(MaxTokens, 1, "maxTokens");
        at.Between(MinTokens, 0, MaxTokens, "minTokens");
        at.That(Stop.All(text => text.Length > 0), "stop", "an empty text", "a text of one character or more");
        at.AtLeast(LogProbabilities ?? 0, 0, "logProbabilities");
        foreach (var (id, bias) in LogitBias)
        {
            at.That(double.IsFinite(bias), "logitBias", $"{bias} for token {id}", "a finite number");
        }

        return this;
    }

    /// <summary>Checks that the ids named are ids of a vocabulary.</summary>
    /// <param name="at">Knows what the user calls a member.</param>
    /// <param name="vocabularySize">Number of ids.</param>
    /// <exception cref="UserErrorException">An id is outside.</exception>
    public void ValidateIds(ConfigCheck at, int vocabularySize)
    {
        foreach (var id in LogitBias.Keys)
        {
            at.That(id >= 0 && id < vocabularySize, "logitBias", $"for token {id}", $"an id from 0 to {vocabularySize - 1}");
        }

        foreach (var id in StopIds)
        {
            at.Between(id, 0, vocabularySize - 1, "stopIds");
        }
    }
}
