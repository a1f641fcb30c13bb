using System.Text;
using System.Text.Json.Serialization.Metadata;
using CoFrGeNet.Client;
using CoFrGeNet.Generation;

namespace CoFrGeNet.Server;

/// <summary>Turns what the scheduler does into parts of an answer, and those into a whole one.</summary>
internal sealed class CompletionAnswer : IAnswer<CompletionChoice, CompletionResponse, CompletionResponse>
{
    private readonly CompletionRequest _request;
    private readonly ModelHost _model;
    private readonly IReadOnlyList<CompletionPrompt> _prompts;
    private readonly int _choicesAPrompt;
    private readonly int[] _offsets;
    private readonly double[] _logLikelihoods;
    private readonly int[] _drawn;
    private readonly string?[] _finish;
    private readonly string _id = "cmpl-" + Guid.NewGuid().ToString("N");
    private readonly long _created = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    /// <summary>Begins an answer.</summary>
    public CompletionAnswer(CompletionRequest request, ModelHost model, IReadOnlyList<CompletionPrompt> prompts)
    {
        _request = request;
        _model = model;
        _prompts = prompts;
        _choicesAPrompt = prompts[0].Work.Choices.Count;
        var choices = prompts.Count * _choicesAPrompt;
        _offsets = new int[choices];
        _logLikelihoods = new double[choices];
        _drawn = new int[choices];
        _finish = new string?[choices];
    }

    /// <inheritdoc/>
    public JsonTypeInfo<CompletionResponse> ChunkType => ServerJson.Wire.CompletionResponse;

    /// <inheritdoc/>
    public JsonTypeInfo<CompletionResponse> WholeType => ServerJson.Wire.CompletionResponse;

    /// <inheritdoc/>
    public IReadOnlyList<string?> Finish => _finish;

    /// <inheritdoc/>
    public Usage Usage
    {
        get
        {
            var prompt = _prompts.Sum(item => item.Work.Tokens.Length);
            return new Usage(prompt, _drawn.Sum(), prompt + _drawn.Sum());
        }
    }

    /// <inheritdoc/>
    public IEnumerable<CompletionChoice> Take(SequenceEvent what)
    {
        var prompt = _prompts[what.Index / _choicesAPrompt];
        if (what is PromptRead read)
        {
            var isAll = prompt.Work.Choices[0] is null;
            if (_request.Echo == true || isAll || _request.ReturnTokenIds == true)
            {
                _finish[what.Index] = isAll ? "length" : null;
                yield return new CompletionChoice
                {
                    Index = what.Index,
                    Text = prompt.EchoText,
                    Logprobs = read.Scores is null ? null : OfTokens(what.Index, prompt.Work.Tokens, read.Scores),
                    FinishReason = _finish[what.Index],
                    PromptTokenIds = _request.ReturnTokenIds == true ? prompt.Work.Tokens : null,
                };
            }
        }
        else if (what is TokenDrawn drawn)
        {
            var piece = drawn.Piece;
            _drawn[what.Index]++;
            _logLikelihoods[what.Index] += piece.LogProbabilities?.Chosen.LogProbability ?? 0;
            _finish[what.Index] = piece.Finish?.ToString().ToLowerInvariant();
            var logprobs = _request.Logprobs is null || piece.LogProbabilities is null ? null : OfTokens(what.Index, [piece.Token], [piece.LogProbabilities]);
            if (piece.Text.Length > 0 || piece.Finish is not null || logprobs is not null || _request.ReturnTokenIds == true)
            {
                yield return new CompletionChoice
                {
                    Index = what.Index,
                    Text = piece.Text,
                    Logprobs = logprobs,
                    FinishReason = _finish[what.Index],
                    TokenIds = _request.ReturnTokenIds == true ? [piece.Token] : null,
                };
            }
        }
    }

    /// <inheritdoc/>
    public CompletionResponse Chunk(IReadOnlyList<CompletionChoice> parts, Usage? usage = null) => new() { Id = _id, Created = _created, Model = _model.Name, Choices = parts, Usage = usage };

    /// <inheritdoc/>
    public CompletionResponse Whole(IEnumerable<CompletionChoice> parts)
    {
        var choices = parts.GroupBy(part => part.Index).OrderBy(group => group.Key).Select(group => Join([.. group])).ToArray();
        return Chunk([.. _prompts.SelectMany((_, i) => Best(choices[(i * _choicesAPrompt)..((i + 1) * _choicesAPrompt)], i))], Usage);
    }

    // With best_of: those with the highest log-probability a token, the best first.
    private IEnumerable<CompletionChoice> Best(CompletionChoice[] choices, int prompt)
    {
        var n = _request.N ?? 1;
        var kept = choices.Length == n ? choices : choices.OrderByDescending(choice => _logLikelihoods[choice.Index] / Math.Max(1, _drawn[choice.Index])).Take(n);
        return kept.Select((choice, i) => choice with { Index = (prompt * n) + i });
    }

    private static CompletionChoice Join(CompletionChoice[] parts) => parts[^1] with
    {
        Text = new StringBuilder().AppendJoin(string.Empty, parts.Select(part => part.Text)).ToString(),
        PromptTokenIds = parts[0].PromptTokenIds,
        TokenIds = parts.Any(part => part.TokenIds is not null) ? [.. parts.SelectMany(part => part.TokenIds ?? [])] : null,
        Logprobs = parts.All(part => part.Logprobs is null) ? null : new CompletionLogprobs
        {
            Tokens = [.. parts.SelectMany(part => part.Logprobs?.Tokens ?? [])],
            TokenLogprobs = [.. parts.SelectMany(part => part.Logprobs?.TokenLogprobs ?? [])],
            TopLogprobs = [.. parts.SelectMany(part => part.Logprobs?.TopLogprobs ?? [])],
            TextOffset = [.. parts.SelectMany(part => part.Logprobs?.TextOffset ?? [])],
        },
    };

    private CompletionLogprobs OfTokens(int choice, int[] tokens, IReadOnlyList<TokenLogProbabilities?> scores)
    {
        var offsets = new int[tokens.Length];
        for (var i = 0; i < offsets.Length; i++)
        {
            offsets[i] = _offsets[choice];
            _offsets[choice] += _model.Texts.Characters(tokens[i]);
        }

        return new CompletionLogprobs
        {
            Tokens = [.. tokens.Select(token => _model.Texts[token])],
            TokenLogprobs = [.. scores.Select(score => score?.Chosen.LogProbability)],
            TopLogprobs = [.. scores.Select(score => score is null ? null : Map(score))],
            TextOffset = offsets,
        };
    }

    // Two tokens may print as one text: the larger value stands, else a reader would take a greedy token for none.
    private Dictionary<string, double> Map(TokenLogProbabilities score)
    {
        var map = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (var (token, value) in score.Top.Append(score.Chosen))
        {
            var text = _model.Texts[token];
            map[text] = map.TryGetValue(text, out var known) ? Math.Max(known, value) : value;
        }

        return map;
    }
}
