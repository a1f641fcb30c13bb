using CoFrGeNet.Generation;

namespace CoFrGeNet.Evaluation;

/// <summary>Asks a model for log-likelihoods: windows of like length together, the longest first, equal ones once.</summary>
/// <remarks>Letters: B sequences, V vocabulary.</remarks>
public sealed class LikelihoodScorer
{
    private const int AutomaticTokens = 8192;

    private readonly ILanguageModel _model;
    private readonly int? _batchSize;
    private readonly RequestCache _cache;

    /// <summary>Creates the scorer.</summary>
    /// <param name="model">The model.</param>
    /// <param name="batchSize">Sequences B at once; absent: as many as come to 8,192 tokens.</param>
    /// <param name="cache">Where answers are looked for and kept.</param>
    public LikelihoodScorer(ILanguageModel model, int? batchSize, RequestCache cache)
    {
        _model = model;
        _batchSize = batchSize;
        _cache = cache;
    }

    /// <summary>Scores windows.</summary>
    /// <param name="spans">The windows.</param>
    /// <param name="progress">Hears how many of how many distinct windows are done.</param>
    /// <param name="stop">Asks for a stop after the batch at hand; what is done is kept in the cache.</param>
    /// <returns>One answer a window.</returns>
    internal RequestScore[] Score(IReadOnlyList<TokenSpan> spans, Action<int, int>? progress, CancellationToken stop)
    {
        var keys = spans.Select(span => span.Key()).ToArray();
        var open = Enumerable.Range(0, spans.Count).Where(i => !_cache.TryGet(keys[i], out _)).DistinctBy(i => keys[i])
            .OrderByDescending(i => spans[i].Inputs.Length).ThenBy(i => i).ToArray();
        var all = keys.Distinct().Count();
        for (var first = 0; first < open.Length;)
        {
            stop.ThrowIfCancellationRequested();
            var batch = open[first..(first + BatchSize(spans, open, first))];
            var scores = ScoreBatch([.. batch.Select(i => spans[i])]);
            _cache.Add(batch.Zip(scores, (i, score) => (keys[i], score)));
            first += batch.Length;
            progress?.Invoke(all - open.Length + first, all);
        }

        return [.. keys.Select(key => _cache.TryGet(key, out var score) ? score : throw new System.Diagnostics.UnreachableException())];
    }

    private int BatchSize(IReadOnlyList<TokenSpan> spans, int[] open, int first)
    {
        // The first one is the longest: the others are padded to it.
        var length = spans[open[first]].Inputs.Length;
        return Math.Min(_batchSize ?? Math.Max(1, AutomaticTokens / length), open.Length - first);
    }

    private RequestScore[] ScoreBatch(TokenSpan[] spans)
    {
        var scores = Enumerable.Repeat(RequestScore.Empty, spans.Length).ToArray();
        var wanted = spans.SelectMany((span, s) => Enumerable.Range(0, span.Targets.Length).Select(t => (Sequence: s, Target: t))).ToArray();
        _model.Forward(
            [.. spans.Select(span => span.Inputs)],
            [.. wanted.Select(at => new TokenPosition(at.Sequence, spans[at.Sequence].FirstPosition + at.Target))],
            (index, logits) =>
            {
                var (sequence, target) = wanted[index];
                scores[sequence] = scores[sequence].Then(ScoreToken(logits, spans[sequence].Targets.Span[target]));
            });
        return scores;
    }

    private static RequestScore ScoreToken(ReadOnlySpan<float> logits, int token)
    {
        var probabilities = new LogSoftmax(logits);
        return new RequestScore(probabilities[token], probabilities.Best == token, 1);
    }
}
