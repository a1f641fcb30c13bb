namespace CoFrGeNet.Generation;

/// <summary>How likely a model finds the tokens of prompts. Logits come a position at a time, so memory does not grow with the vocabulary.</summary>
public static class PromptScorer
{
    /// <summary>Scores prompts in one pass.</summary>
    /// <param name="model">The model.</param>
    /// <param name="prompts">Token ids, each one token up to the context's length.</param>
    /// <param name="top">How many of the likeliest tokens are listed at each position.</param>
    /// <param name="vocabularySize">The tokenizer's number of ids: those from here on only pad the model's vocabulary and are not listed.</param>
    /// <param name="next">Receives for each prompt, by its number, the logits after its last token, so that a first token can be drawn without another pass; null: they are not computed.</param>
    /// <returns>For each prompt one entry a token; that of the first token is null, since nothing comes before it.</returns>
    /// <exception cref="UserErrorException">A prompt is longer than the context.</exception>
    /// <exception cref="ArithmeticException">The logits are not finite.</exception>
    public static TokenLogProbabilities?[][] Score(
        ILanguageModel model, IReadOnlyList<ReadOnlyMemory<int>> prompts, int top, int vocabularySize, LogitsReader? next = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(prompts);
        var scores = prompts.Select(prompt => new TokenLogProbabilities?[prompt.Length]).ToArray();
        var positions = prompts.SelectMany((prompt, sequence) => Enumerable.Range(0, next is null ? prompt.Length - 1 : prompt.Length)
            .Select(index => new TokenPosition(sequence, index))).ToArray();
        if (positions.Length == 0)
        {
            return scores;
        }

        model.Forward(prompts, positions, (number, logits) =>
        {
            var (sequence, index) = positions[number];
            if (index + 1 < prompts[sequence].Length)
            {
                scores[sequence][index + 1] = new LogSoftmax(logits).Of(prompts[sequence].Span[index + 1], top, vocabularySize);
            }
            else
            {
                next!(sequence, logits);
            }
        });
        return scores;
    }
}
