using CoFrGeNet.Configuration;
using CoFrGeNet.Text;

namespace CoFrGeNet.Generation;

/// <summary>
/// One text that is being generated, without the model: takes logits, gives the next token with its piece of text. Whoever owns it runs the model, for one sequence with
/// <see cref="IDecodingSession.Append"/> or for many with <see cref="ILanguageModel.Append"/>:
/// <code>
/// while (!sequence.IsFinished)
/// {
///     var logits = session.Append(sequence.Input.Span);
///     var piece = sequence.Next(logits);
/// }
/// </code>
/// What comes out does not depend on what is decoded beside it. Not for several threads at once.
/// </summary>
public sealed class GeneratedSequence
{
    private readonly ITokenizer _tokenizer;
    private readonly int _contextLength;
    private readonly SamplingOptions _options;
    private readonly Sampler _sampler;
    private readonly StreamingDecoder _decoder;
    private readonly StopFilter _filter;
    private readonly int[] _endMarks;
    private readonly int[] _last = new int[1];

    /// <summary>Starts after a prompt.</summary>
    /// <param name="model">Gives the sizes only: ids that it knows and the tokenizer does not are never drawn.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="prompt">The prompt's ids, as <see cref="PromptEncoder"/> gives them.</param>
    /// <param name="options">How to draw and when to end.</param>
    /// <exception cref="UserErrorException">An option is out of range.</exception>
    public GeneratedSequence(ILanguageModel model, ITokenizer tokenizer, int[] prompt, SamplingOptions options)
        : this(model, tokenizer, prompt, new Sampler(options))
    {
    }

    /// <summary>Starts after a prompt, with a sampler of one's own, for example to ask for its seed beforehand.</summary>
    /// <param name="model">Gives the sizes only.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="prompt">The prompt's ids.</param>
    /// <param name="sampler">A sampler that nobody else uses.</param>
    /// <exception cref="UserErrorException">An option names an id that is not in the vocabulary.</exception>
    public GeneratedSequence(ILanguageModel model, ITokenizer tokenizer, int[] prompt, Sampler sampler)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(prompt);
        ArgumentNullException.ThrowIfNull(sampler);
        _tokenizer = tokenizer;
        _contextLength = model.ContextLength;
        VocabularySize = Math.Min(model.VocabularySize, tokenizer.VocabularySize);
        _options = sampler.Options;
        _options.ValidateIds(new ConfigCheck("sampling"), VocabularySize);
        _sampler = sampler;
        _sampler.Begin(prompt);
        _decoder = new StreamingDecoder(tokenizer);
        _filter = new StopFilter(_options.Stop);
        _endMarks = [.. _options.StopIds, .. !_options.IgnoreEndOfText && tokenizer.EndOfTextId is { } end && end < VocabularySize ? [end] : Array.Empty<int>()];
        PromptLength = prompt.Length;
        Input = prompt;
    }

    /// <summary>What the model has to read before <see cref="Next"/>: the prompt, afterwards the last token. The memory is used again.</summary>
    public ReadOnlyMemory<int> Input { get; private set; }

    /// <summary>Number of tokens in the prompt.</summary>
    public int PromptLength { get; }

    /// <summary>Number of tokens drawn so far, with the one that ended the text.</summary>
    public int Count { get; private set; }

    /// <summary>Number of ids that can be drawn.</summary>
    public int VocabularySize { get; }

    /// <summary>Why the text ended; null: it has not.</summary>
    public FinishReason? Finish { get; private set; }

    /// <summary>Whether the text has ended.</summary>
    public bool IsFinished => Finish is not null;

    /// <summary>The seed of the draws.</summary>
    public long Seed => _sampler.Seed;

    /// <summary>Draws the next token.</summary>
    /// <param name="logits">The model's logits after <see cref="Input"/>.</param>
    /// <returns>The token with the text that it makes certain; the last one says why it is the last.</returns>
    /// <exception cref="InvalidOperationException">The text has ended.</exception>
    /// <exception cref="ArithmeticException">The logits are not finite.</exception>
    public GeneratedPiece Next(ReadOnlySpan<float> logits)
    {
        if (IsFinished)
        {
            throw new InvalidOperationException("the text has ended");
        }

        var token = _sampler.Next(logits[..VocabularySize], Count < _options.MinTokens ? _endMarks : default);
        var probabilities = _options.LogProbabilities is { } top ? new LogSoftmax(logits).Of(token, top, VocabularySize) : null;
        Count++;
        _last[0] = token;
        Input = _last;
        var isEndMark = _endMarks.AsSpan().Contains(token);
        var text = isEndMark ? Rest() : Append(token);
        // The last token need not fit into the context, since nothing is read after it.
        Finish = isEndMark || _filter.Stopped ? FinishReason.Stop
            : Count == _options.MaxTokens || PromptLength + Count > _contextLength ? FinishReason.Length
            : null;
        if (Finish == FinishReason.Length)
        {
            text += Rest();
            Finish = _filter.Stopped ? FinishReason.Stop : FinishReason.Length;
        }

        return new GeneratedPiece(token, text, Finish) { IsEndMark = isEndMark, LogProbabilities = probabilities };
    }

    private string Append(int token)
    {
        // Not an end mark, so it is passed over: a mark is no text.
        var text = token == _tokenizer.EndOfTextId ? _decoder.Flush() : _decoder.Append(token);
        return Count <= _options.MinTokens ? text : _filter.Append(text);
    }

    private string Rest() => _filter.Append(_decoder.Flush()) + _filter.Flush();
}
