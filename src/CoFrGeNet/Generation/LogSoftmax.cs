using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace CoFrGeNet.Generation;

/// <summary>
/// The log-probabilities at one position: log-softmax of the raw logits, before temperature, penalties and bias. Evaluation, generation and servers all take it from here,
/// so that their figures are equal bit by bit.
/// </summary>
/// <remarks>Exponentials in float32, their sum and the logarithm in float64. Nothing is allocated.</remarks>
public readonly ref struct LogSoftmax
{
    /// <summary>The least log-probability: JSON has no negative infinity.</summary>
    public const double Least = -9999;

    private const int Part = 512;

    private readonly ReadOnlySpan<float> _logits;
    private readonly float _largest;
    private readonly double _logSum;

    /// <summary>Computes what all tokens share.</summary>
    /// <param name="logits">One a token of the model's whole vocabulary; they must stay unchanged while this is used.</param>
    /// <exception cref="ArithmeticException">A logit is not a number, or none is finite.</exception>
    public LogSoftmax(ReadOnlySpan<float> logits)
    {
        _logits = logits;
        Best = Sampler.LargestOf(logits);
        _largest = logits[Best];
        Span<float> part = stackalloc float[Part];
        double sum = 0;
        for (var start = 0; start < logits.Length; start += Part)
        {
            var length = Math.Min(Part, logits.Length - start);
            TensorPrimitives.Subtract(logits.Slice(start, length), _largest, part);
            TensorPrimitives.Exp<float>(part[..length], part);
            sum += Sum(part[..length]);
        }

        _logSum = Math.Log(sum);
    }

    /// <summary>The most likely token; of several the smallest id.</summary>
    public int Best { get; }

    /// <summary>The log-probability of a token, in nats: <see cref="Least"/> to 0.</summary>
    /// <param name="token">Its id.</param>
    public double this[int token] => Math.Max(Least, (double)(_logits[token] - _largest) - _logSum);

    /// <summary>The log-probability of a token, and those of the most likely ones.</summary>
    /// <param name="token">The token.</param>
    /// <param name="count">How many of the most likely ones.</param>
    /// <param name="vocabularySize">Ids from here on only pad the vocabulary and are not listed.</param>
    public TokenLogProbabilities Of(int token, int count, int vocabularySize) => new(new TokenLogProbability(token, this[token]), Top(count, vocabularySize));

    /// <summary>Adds up numbers in float64, in an order that depends on nothing but their count: neither on where they lie nor on the machine.</summary>
    internal static double Sum(ReadOnlySpan<float> values)
    {
        var first = Vector256<double>.Zero;
        var second = Vector256<double>.Zero;
        var vectors = MemoryMarshal.Cast<float, Vector256<float>>(values);
        foreach (var vector in vectors)
        {
            first += Vector256.WidenLower(vector);
            second += Vector256.WidenUpper(vector);
        }

        var sum = Vector256.Sum(first + second);
        foreach (var value in values[(vectors.Length * Vector256<float>.Count)..])
        {
            sum += value;
        }

        return sum;
    }

    private TokenLogProbability[] Top(int count, int vocabularySize)
    {
        var logits = _logits[..Math.Min(vocabularySize, _logits.Length)];
        var top = new int[Math.Min(count, logits.Length)];
        var found = 0;
        for (var id = 0; id < logits.Length && top.Length > 0; id++)
        {
            if (found == top.Length && logits[id] <= logits[top[^1]])
            {
                continue;
            }

            // Of equal ones the smaller id stands first.
            var at = found < top.Length ? found++ : top.Length - 1;
            for (; at > 0 && logits[top[at - 1]] < logits[id]; at--)
            {
                top[at] = top[at - 1];
            }

            top[at] = id;
        }

        var result = new TokenLogProbability[top.Length];
        for (var i = 0; i < top.Length; i++)
        {
            result[i] = new TokenLogProbability(top[i], this[top[i]]);
        }

        return result;
    }
}
