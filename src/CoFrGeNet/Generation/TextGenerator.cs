using System.Text;
using CoFrGeNet.Text;

namespace CoFrGeNet.Generation;

/// <summary>Continues texts with a model, one token at a time, as a stream of pieces that are whole characters.</summary>
public sealed class TextGenerator
{
    private readonly ILanguageModel _model;
    private readonly ITokenizer _tokenizer;

    /// <summary>Joins a model and its tokenizer.</summary>
    /// <param name="model">The model; it may know more ids than the tokenizer, which are then never drawn.</param>
    /// <param name="tokenizer">The tokenizer that it was trained with.</param>
    public TextGenerator(ILanguageModel model, ITokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(tokenizer);
        _model = model;
        _tokenizer = tokenizer;
    }

    /// <summary>Turns a prompt into the ids that generation starts from.</summary>
    /// <param name="prompt">
    /// The text; the begin-of-text token comes before it where the tokenizer has one. Without one an empty text becomes the end-of-text token, after which a new text starts.
    /// </param>
    /// <exception cref="UserErrorException">The prompt is longer than the context, or empty where there is no end-of-text token.</exception>
    public int[] Encode(string prompt)
    {
        int[] ids = _tokenizer.BeginOfTextId is { } begin ? [begin, .. _tokenizer.Encode(prompt)] : _tokenizer.Encode(prompt);
        if (ids.Length == 0)
        {
            ids = [_tokenizer.EndOfTextId ?? throw new UserErrorException($"The prompt is empty and the tokenizer '{_tokenizer.Name}' has no end-of-text token to start from; give a prompt.")];
        }

        return ids.Length <= _model.ContextLength
            ? ids
            : throw new UserErrorException($"The prompt has {ids.Length} tokens; this model's context holds {_model.ContextLength}. Shorten the prompt by {ids.Length - _model.ContextLength} tokens.");
    }

    /// <summary>Continues a prompt.</summary>
    /// <param name="prompt">The text to continue.</param>
    /// <param name="sampler">Draws the tokens.</param>
    /// <param name="options">When to end; those the sampler was made with.</param>
    /// <param name="cancellationToken">Stops before the next token.</param>
    /// <returns>One piece a token, as they are drawn; the last one says why it is the last.</returns>
    /// <exception cref="UserErrorException">The prompt is longer than the context or an option out of range; thrown on the call.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public IEnumerable<GeneratedPiece> Stream(string prompt, Sampler sampler, SamplingOptions options, CancellationToken cancellationToken = default)
    {
        options.Validate();
        return Stream(Encode(prompt), sampler, options, cancellationToken);
    }

    /// <summary>Continues a prompt and gives the whole text.</summary>
    /// <param name="prompt">The text to continue.</param>
    /// <param name="options">How to draw and when to end.</param>
    /// <param name="cancellationToken">Stops before the next token.</param>
    /// <exception cref="UserErrorException">The prompt is longer than the context or an option out of range.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public GenerationResult Generate(string prompt, SamplingOptions options, CancellationToken cancellationToken = default) =>
        Collect(Stream(prompt, new Sampler(options), options, cancellationToken));

    /// <summary>Joins pieces.</summary>
    /// <param name="pieces">All pieces of one text.</param>
    public GenerationResult Collect(IEnumerable<GeneratedPiece> pieces)
    {
        var text = new StringBuilder();
        var tokens = new List<int>();
        var finish = FinishReason.Length;
        foreach (var piece in pieces)
        {
            text.Append(piece.Text);
            finish = piece.Finish ?? finish;
            if (piece.Token != _tokenizer.EndOfTextId)
            {
                tokens.Add(piece.Token);
            }
        }

        return new GenerationResult(text.ToString(), tokens, finish);
    }

    private IEnumerable<GeneratedPiece> Stream(int[] prompt, Sampler sampler, SamplingOptions options, CancellationToken cancellationToken)
    {
        using var session = _model.StartSession();
        var decoder = new StreamingDecoder(_tokenizer);
        var filter = new StopFilter(options.Stop);
        var next = prompt;
        for (var count = 1; ; count++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            // Ids beyond the tokenizer's only pad the vocabulary.
            var token = sampler.Next(session.Append(next)[..Math.Min(_model.VocabularySize, _tokenizer.VocabularySize)]);
            if (token == _tokenizer.EndOfTextId)
            {
                yield return new GeneratedPiece(token, Rest(decoder, filter), FinishReason.Stop);
                yield break;
            }

            var text = filter.Append(decoder.Append(token));
            if (filter.Stopped)
            {
                yield return new GeneratedPiece(token, text, FinishReason.Stop);
                yield break;
            }

            if (count == options.MaxTokens || session.Length == _model.ContextLength)
            {
                text += Rest(decoder, filter);
                yield return new GeneratedPiece(token, text, filter.Stopped ? FinishReason.Stop : FinishReason.Length);
                yield break;
            }

            yield return new GeneratedPiece(token, text, null);
            next = [token];
        }
    }

    private static string Rest(StreamingDecoder decoder, StopFilter filter) => filter.Append(decoder.Flush()) + filter.Flush();
}
