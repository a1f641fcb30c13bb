using System.Numerics.Tensors;

namespace CoFrGeNet.Generation;

/// <summary>
/// Draws the tokens of one sequence from logits. The order is fixed: repetition penalty, frequency and presence penalty, logit bias, exclusions; then for greedy
/// the largest; otherwise temperature, top-k, top-p among what is left, min-p, the draw.
/// The result depends on the seed, on how many draws came before, on the tokens so far where penalties are on, and on the logits; on nothing that is decoded beside it.
/// In steady state nothing is allocated. Not for several threads at once.
/// </summary>
public sealed class Sampler
{
    private readonly TokenHistory? _history;
    private readonly KeyValuePair<int, double>[] _bias;
    private ulong _state;

    /// <summary>Creates a sampler.</summary>
    /// <param name="options">How to draw.</param>
    /// <exception cref="UserErrorException">An option is out of range.</exception>
    public Sampler(SamplingOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        Options = options.Validate();
        Seed = options.Seed ?? Random.Shared.Next();
        _state = (ulong)Seed;
        _history = TokenHistory.IsNeeded(options) ? new TokenHistory(options) : null;
        _bias = [.. options.LogitBias];
    }

    /// <summary>How it draws.</summary>
    public SamplingOptions Options { get; }

    /// <summary>The seed, also where none was given: with it the same draws can be had again.</summary>
    public long Seed { get; }

    /// <summary>Tells of the tokens before the first draw, which the repetition penalty counts.</summary>
    /// <param name="prompt">Token ids.</param>
    public void Begin(ReadOnlySpan<int> prompt) => _history?.Begin(prompt);

    /// <summary>Draws a token.</summary>
    /// <param name="logits">One a token; negative infinity rules a token out.</param>
    /// <param name="excluded">Tokens that must not be drawn.</param>
    /// <returns>The token's id; among equally likely ones top-k, top-p and greedy prefer the smaller id.</returns>
    /// <exception cref="ArithmeticException">A logit is not a number, or none is finite.</exception>
    public int Next(ReadOnlySpan<float> logits, ReadOnlySpan<int> excluded = default)
    {
        var pool = SamplingPool.OfThisThread;
        if (_history is not null || _bias.Length > 0 || !excluded.IsEmpty)
        {
            logits = Adjust(pool.Copy(logits), excluded);
        }

        var token = LargestOf(logits);
        if (Options.Temperature > 0 && Options.TopK != 1)
        {
            token = pool.Draw(logits, token, Options, NextUniform());
        }

        _history?.Add(token);
        return token;
    }

    /// <summary>The largest logit's id, of equal ones the smallest.</summary>
    /// <exception cref="ArithmeticException">A logit is not a number, or none is finite.</exception>
    internal static int LargestOf(ReadOnlySpan<float> logits)
    {
        // Finds the first that is not a number, if there is one.
        var best = TensorPrimitives.IndexOfMax(logits);
        if (best >= 0 && float.IsNaN(logits[best]))
        {
            throw new ArithmeticException($"The logit of token {best} is not a number; the model's weights are damaged.");
        }

        return best >= 0 && float.IsFinite(logits[best])
            ? best
            : throw new ArithmeticException("No finite logit is the largest; the model's weights are damaged.");
    }

    private Span<float> Adjust(Span<float> logits, ReadOnlySpan<int> excluded)
    {
        _history?.Apply(logits);
        foreach (var (id, bias) in _bias)
        {
            if (id >= 0 && id < logits.Length)
            {
                logits[id] += (float)bias;
            }
        }

        foreach (var id in excluded)
        {
            logits[id] = float.NegativeInfinity;
        }

        return logits;
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
