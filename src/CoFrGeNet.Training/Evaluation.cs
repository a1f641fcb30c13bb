using CoFrGeNet.Torch;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>How well a model predicts held-out text.</summary>
/// <param name="Loss">Mean cross entropy in nats a token.</param>
/// <param name="TokensPerByte">Tokens of the text per byte of it, to turn nats a token into bits a byte.</param>
/// <param name="Tokens">Number of tokens predicted.</param>
public sealed record EvaluationResult(double Loss, double TokensPerByte, long Tokens)
{
    /// <summary>exp(loss): perplexity a token.</summary>
    public double Perplexity => Math.Exp(Loss);

    /// <summary>Bits per byte, comparable between tokenizers.</summary>
    public double BitsPerByte => Loss * TokensPerByte / Math.Log(2);
}

/// <summary>
/// Measures a model on held-out text: disjoint windows at equal distances over the whole text, so that a sample of it is not its first book; every token of a window is predicted once.
/// </summary>
public static class Evaluation
{
    private const int TokensAPass = 16384;

    /// <summary>Runs the measurement. The model is in evaluation mode meanwhile and goes back to the mode that it had.</summary>
    /// <param name="model">The model.</param>
    /// <param name="text">The held-out tokens.</param>
    /// <param name="sequenceLength">Window length in tokens.</param>
    /// <param name="mostTokens">Most tokens to read.</param>
    /// <param name="ranks">The processes that share the work, all with the same model; null: this one alone.</param>
    public static EvaluationResult Run(LanguageModel model, Data.ITokenSequence text, int sequenceLength, long mostTokens, RankGroup? ranks = null)
    {
        ranks ??= RankGroup.Single;
        var source = new BatchSource(text, sequenceLength, "validation");
        var windows = Math.Min(source.WindowCount, Math.Max(1, mostTokens / sequenceLength));
        var size = Math.Max(1, TokensAPass / sequenceLength);
        var training = model.training;
        model.eval();
        try
        {
            var sum = SumOfLosses(model, source, windows, size, ranks);
            return new EvaluationResult(ranks.AllReduce([sum])[0] / windows, (double)text.Count / text.TextBytes, windows * sequenceLength);
        }
        finally
        {
            model.train(training);
        }
    }

    // Of this rank's share of the batches.
    private static double SumOfLosses(LanguageModel model, BatchSource source, long windows, int size, RankGroup ranks)
    {
        using var quiet = inference_mode();
        double sum = 0;
        for (long first = (long)ranks.Rank * size; first < windows; first += (long)size * ranks.Size)
        {
            using var scope = NewDisposeScope();
            var numbers = Enumerable.Range(0, (int)Math.Min(size, windows - first)).Select(i => (first + i) * source.WindowCount / windows).ToArray();
            var (inputs, targets) = source.Batch(numbers, model.Device);
            sum += model.Loss(inputs, targets).item<float>() * numbers.Length;
        }

        return sum;
    }
}
