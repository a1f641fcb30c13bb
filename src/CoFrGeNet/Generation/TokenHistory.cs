namespace CoFrGeNet.Generation;

/// <summary>The tokens of one sequence and what the penalties make of them, by the definitions of OpenAI and vLLM.</summary>
internal sealed class TokenHistory
{
    private readonly float _repetition;
    private readonly float _presence;
    private readonly float _frequency;

    // How often a token was drawn; 0: it stands in the prompt only.
    private readonly Dictionary<int, int> _drawn = [];

    private readonly int _mostDraws;

    /// <summary>Starts an empty sequence.</summary>
    public TokenHistory(SamplingOptions options)
    {
        _repetition = (float)options.RepetitionPenalty;
        _presence = (float)options.PresencePenalty;
        _frequency = (float)options.FrequencyPenalty;
        _mostDraws = options.MaxTokens;
    }

    /// <summary>Whether any penalty is on.</summary>
    public static bool IsNeeded(SamplingOptions options) =>
        options.RepetitionPenalty != 1 || options.PresencePenalty != 0 || options.FrequencyPenalty != 0;

    /// <summary>Enters the prompt, for the repetition penalty.</summary>
    public void Begin(ReadOnlySpan<int> prompt)
    {
        foreach (var token in _repetition == 1 ? default : prompt)
        {
            _drawn.TryAdd(token, 0);
        }

        // As much as an ordinary text has of different tokens, so that the table does not grow while tokens are drawn.
        _drawn.EnsureCapacity(_drawn.Count + Math.Min(_mostDraws, 4096));
    }

    /// <summary>Enters a token that was drawn.</summary>
    public void Add(int token) => System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(_drawn, token, out _)++;

    /// <summary>Applies the penalties in place.</summary>
    public void Apply(Span<float> logits)
    {
        foreach (var (token, count) in _drawn)
        {
            if (token >= logits.Length)
            {
                continue;
            }

            ref var logit = ref logits[token];
            logit = logit > 0 ? logit / _repetition : logit * _repetition;
            logit -= (_frequency * count) + (count > 0 ? _presence : 0);
        }
    }
}
