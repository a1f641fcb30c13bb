using CoFrGeNet.Text;

namespace CoFrGeNet.Evaluation;

/// <summary>Turns requests into windows of tokens by the rules of lm-evaluation-harness.</summary>
public sealed class RequestEncoder
{
    private readonly ITokenizer _tokenizer;
    private readonly int _contextLength;

    /// <summary>Creates the encoder.</summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="contextLength">Most tokens that the model can see.</param>
    public RequestEncoder(ITokenizer tokenizer, int contextLength)
    {
        _tokenizer = tokenizer;
        _contextLength = contextLength;
    }

    /// <summary>
    /// The tokens of a context and its continuation: those of both together, split after as many as the context alone has. Space at the
    /// end of the context belongs to the continuation. An empty context is the start-of-text token.
    /// </summary>
    /// <param name="context">The context.</param>
    /// <param name="continuation">What is scored.</param>
    public (int[] Context, int[] Continuation) Split(string context, string continuation)
    {
        var trimmed = context.TrimEnd();
        continuation = context[trimmed.Length..] + continuation;
        if (trimmed.Length == 0)
        {
            return ([StartToken], _tokenizer.Encode(continuation));
        }

        var head = _tokenizer.Encode(trimmed);
        var all = _tokenizer.Encode(trimmed + continuation);
        return (head, all[Math.Min(head.Length, all.Length)..]);
    }

    /// <summary>The windows that answer a request.</summary>
    internal IReadOnlyList<TokenSpan> Encode(ScoringRequest request)
    {
        switch (request)
        {
            case ContinuationRequest pair:
                var (context, continuation) = Split(pair.Context, pair.Continuation);
                return [.. Windows([.. context, .. continuation], context.Length, _contextLength, _contextLength)];
            case RollingRequest rolling:
                var window = rolling.Window ?? _contextLength;
                int[] tokens = rolling.StartToken ? [StartToken, .. _tokenizer.Encode(rolling.Text)] : _tokenizer.Encode(rolling.Text);
                return [.. Windows(tokens, 1, window, rolling.Stride ?? window)];
            default:
                throw new System.Diagnostics.UnreachableException($"No rule for {request.GetType().Name}.");
        }
    }

    /// <summary>
    /// Windows of at most <paramref name="window"/> inputs in which the tokens from <paramref name="first"/> on are targets once each: the
    /// first window is filled, each later one has at most <paramref name="stride"/> targets and reaches back to full length.
    /// </summary>
    internal static IEnumerable<TokenSpan> Windows(int[] tokens, int first, int window, int stride)
    {
        for (var next = first; next < tokens.Length;)
        {
            var last = Math.Min(next + (next == first ? window : stride) - 1, tokens.Length - 1);
            var start = Math.Max(0, last - window);
            yield return new TokenSpan(tokens.AsMemory(start, last - start), tokens.AsMemory(next, last - next + 1));
            next = last + 1;
        }
    }

    private int StartToken => _tokenizer.BeginOfTextId ?? _tokenizer.EndOfTextId
        ?? throw new UserErrorException($"The tokenizer '{_tokenizer.Name}' has neither a begin-of-text nor an end-of-text token, one of which stands for the start of a text in evaluation.");
}
