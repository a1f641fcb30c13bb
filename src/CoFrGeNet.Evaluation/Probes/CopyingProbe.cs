using CoFrGeNet.Data;
using CoFrGeNet.Generation;

namespace CoFrGeNet.Evaluation;

/// <summary>
/// Whether a model copies from its context: a passage stands twice in a sequence, at places that change from sequence to sequence, and the loss on its second
/// copy is compared with that on the first. Attention whose keys depend on content finds the first copy wherever it is (induction); a mixer with static positions
/// has to have learned each distance by itself.
/// </summary>
/// <remarks>Letters: T context length, n length of a passage.</remarks>
public static class CopyingProbe
{
    private const int LongestPassage = 32;

    /// <summary>Measures a model with passages of random ids, and with passages of a text where one is given.</summary>
    /// <param name="model">The model.</param>
    /// <param name="text">Held-out text; null: random ids alone.</param>
    /// <param name="sequences">Sequences of each kind.</param>
    /// <param name="seed">Chooses passages and places.</param>
    /// <exception cref="UserErrorException">The context is too short for two copies.</exception>
    public static CopyingResult Measure(ILanguageModel model, ITokenSequence? text = null, int sequences = 64, int seed = 1)
    {
        ArgumentNullException.ThrowIfNull(model);
        var length = Math.Min(LongestPassage, model.ContextLength / 3);
        if (length < 2)
        {
            throw new UserErrorException($"The model's context length is {model.ContextLength}; the copying probe needs 6 or more.");
        }

        var random = new Random(seed);
        var ids = Measure(model, length, sequences, random, row => Fill(row, random, model.VocabularySize));
        var prose = text is null || text.Count < model.ContextLength
            ? null
            : Measure(model, length, sequences, random, row => Fill(row, random, text));
        return new CopyingResult(length, ids, prose);
    }

    private static void Fill(Span<int> row, Random random, int vocabulary)
    {
        for (var i = 0; i < row.Length; i++)
        {
            row[i] = random.Next(vocabulary);
        }
    }

    private static void Fill(Span<int> row, Random random, ITokenSequence text)
    {
        var wide = new long[row.Length];
        text.CopyTo(random.NextInt64(text.Count - row.Length + 1), wide);
        for (var i = 0; i < row.Length; i++)
        {
            row[i] = (int)wide[i];
        }
    }

    private static CopyLosses Measure(ILanguageModel model, int length, int sequences, Random random, Filler fill)
    {
        double first = 0, second = 0;
        var copied = 0;
        for (var i = 0; i < sequences; i++)
        {
            // Filler, the passage, more filler, the passage again; each place at random.
            var row = new int[model.ContextLength];
            fill(row);
            var begin = random.Next(row.Length - (2 * length) + 1);
            var again = random.Next(begin + length, row.Length - length + 1);
            row.AsSpan(begin, length).CopyTo(row.AsSpan(again));

            // The token that begins a copy cannot be foreseen; each later one can, from the one before it.
            var starts = new[] { begin, again };
            var positions = starts.SelectMany(start => Enumerable.Range(start, length - 1)).Select(at => new TokenPosition(0, at)).ToArray();
            model.Forward([row], positions, (index, logits) =>
            {
                var target = row[positions[index].Index + 1];
                var softmax = new LogSoftmax(logits);
                var loss = -softmax[target];
                if (index < length - 1)
                {
                    first += loss;
                    return;
                }

                second += loss;
                copied += softmax.Best == target ? 1 : 0;
            });
        }

        var count = (double)sequences * (length - 1);
        return new CopyLosses(first / count, second / count, copied / count);
    }

    private delegate void Filler(Span<int> row);
}

/// <summary>What <see cref="CopyingProbe"/> found.</summary>
/// <param name="Length">Tokens of a passage.</param>
/// <param name="Random">Passages of random ids.</param>
/// <param name="Text">Passages of held-out text; null: there was none.</param>
public sealed record CopyingResult(int Length, CopyLosses Random, CopyLosses? Text);

/// <summary>Losses on the two copies of a passage, the first token of each left out.</summary>
/// <param name="First">Mean cross entropy on the first copy, nats a token.</param>
/// <param name="Second">The same on the second copy.</param>
/// <param name="Accuracy">Share of the second copy's tokens that the model puts first.</param>
public sealed record CopyLosses(double First, double Second, double Accuracy)
{
    /// <summary>What having seen the passage before is worth, nats a token.</summary>
    public double Gain => First - Second;
}
