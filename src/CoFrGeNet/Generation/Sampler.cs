namespace CoFrGeNet.Generation;

/// <summary>
/// Draws tokens from logits. The order is fixed: temperature, then top-k, then top-p, then the draw. The result depends on the seed, on how
/// many draws came before and on the logits, and on nothing else. Not for several threads at once.
/// </summary>
public sealed class Sampler
{
    private readonly SamplingOptions _options;
    private ulong _state;
    private int[] _ids = [];
    private double[] _weights = [];

    /// <summary>Creates a sampler.</summary>
    /// <param name="options">How to draw.</param>
    /// <exception cref="UserErrorException">An option is out of range.</exception>
    public Sampler(SamplingOptions options)
    {
        _options = options.Validate();
        Seed = options.Seed ?? Random.Shared.Next();
        _state = (ulong)Seed;
    }

    /// <summary>The seed, also where none was given: with it the same draws can be had again.</summary>
    public int Seed { get; }

    /// <summary>Draws a token.</summary>
    /// <param name="logits">One a token; negative infinity rules a token out.</param>
    /// <returns>The token's id; among equally likely ones top-k, top-p and greedy prefer the smaller id.</returns>
    /// <exception cref="ArithmeticException">A logit is not a number, or none is finite.</exception>
    public int Next(ReadOnlySpan<float> logits)
    {
        var best = ArgMax(logits);
        if (_options.Temperature == 0 || _options.TopK == 1)
        {
            return best;
        }

        var count = Candidates(logits);
        count = Nucleus(Weigh(logits, count, logits[best]), count);
        return Draw(count);
    }

    private static int ArgMax(ReadOnlySpan<float> logits)
    {
        var best = 0;
        for (var i = 0; i < logits.Length; i++)
        {
            if (float.IsNaN(logits[i]))
            {
                throw new ArithmeticException($"The logit of token {i} is not a number; the model's weights are damaged.");
            }

            best = logits[i] > logits[best] ? i : best;
        }

        return logits.Length > 0 && float.IsFinite(logits[best])
            ? best
            : throw new ArithmeticException("No finite logit is the largest; the model's weights are damaged.");
    }

    // Top-k: fills _ids with the k likeliest ids, in ascending order.
    private int Candidates(ReadOnlySpan<float> logits)
    {
        if (_ids.Length < logits.Length)
        {
            _ids = new int[logits.Length];
            _weights = new double[logits.Length];
        }

        if (_options.TopK == 0 || _options.TopK >= logits.Length)
        {
            for (var i = 0; i < logits.Length; i++)
            {
                _ids[i] = i;
            }

            return logits.Length;
        }

        // The root is the worst kept token: the smallest logit, of equal ones the largest id.
        var kept = new PriorityQueue<int, (float Logit, int MinusId)>(_options.TopK);
        for (var i = 0; i < logits.Length; i++)
        {
            if (kept.Count < _options.TopK)
            {
                kept.Enqueue(i, (logits[i], -i));
            }
            else if (logits[i] > logits[kept.Peek()])
            {
                kept.EnqueueDequeue(i, (logits[i], -i));
            }
        }

        for (var i = 0; i < _options.TopK; i++)
        {
            _ids[i] = kept.Dequeue();
        }

        Array.Sort(_ids, 0, _options.TopK);
        return _options.TopK;
    }

    // Softmax at the temperature without its division, since only shares of the sum matter.
    private double Weigh(ReadOnlySpan<float> logits, int count, float largest)
    {
        double sum = 0;
        for (var i = 0; i < count; i++)
        {
            _weights[i] = Math.Exp(((double)logits[_ids[i]] - largest) / _options.Temperature);
            sum += _weights[i];
        }

        return sum;
    }

    // Top-p: moves the smallest set of likeliest tokens that reaches the share to the front.
    private int Nucleus(double sum, int count)
    {
        if (_options.TopP >= 1)
        {
            return count;
        }

        // Tokens below (1 - p) / count of the sum come to less than 1 - p together, so they are outside; this spares sorting the long tail.
        var least = sum * (1 - _options.TopP) / count;
        var left = 0;
        for (var i = 0; i < count; i++)
        {
            if (_weights[i] >= least)
            {
                (_ids[left], _weights[left]) = (_ids[i], _weights[i]);
                left++;
            }
        }

        var order = Enumerable.Range(0, left).Select(i => (Id: _ids[i], Weight: _weights[i]))
            .OrderByDescending(token => token.Weight).ThenBy(token => token.Id).ToArray();
        double reached = 0;
        var taken = 0;
        while (taken < order.Length && reached < sum * _options.TopP)
        {
            (_ids[taken], _weights[taken]) = order[taken];
            reached += _weights[taken++];
        }

        return Math.Max(1, taken);
    }

    private int Draw(int count)
    {
        double sum = 0;
        for (var i = 0; i < count; i++)
        {
            sum += _weights[i];
        }

        var target = NextUniform() * sum;
        var last = 0;
        for (var i = 0; i < count; i++)
        {
            if (_weights[i] > 0)
            {
                target -= _weights[i];
                last = i;
                if (target < 0)
                {
                    break;
                }
            }
        }

        return _ids[last];
    }

    // splitmix64: our own, because the draws of System.Random may change with the runtime.
    private double NextUniform()
    {
        _state += 0x9E3779B97F4A7C15;
        var x = _state;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return ((x ^ (x >> 31)) >> 11) * (1.0 / (1UL << 53));
    }
}
