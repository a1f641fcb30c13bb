using CoFrGeNet.Text;

namespace CoFrGeNet.Generation;

/// <summary>Continues texts with a model, one token at a time, as a stream of pieces that are whole characters.</summary>
public sealed class TextGenerator
{
    private readonly ILanguageModel _model;
    private readonly ITokenizer _tokenizer;
    private readonly PromptEncoder _encoder;

    /// <summary>Joins a model and its tokenizer.</summary>
    /// <param name="model">The model; it may know more ids than the tokenizer, which are then never drawn.</param>
    /// <param name="tokenizer">The tokenizer that it was trained with.</param>
    public TextGenerator(ILanguageModel model, ITokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(tokenizer);
        _model = model;
        _tokenizer = tokenizer;
        _encoder = new PromptEncoder(tokenizer, model.ContextLength);
    }

    /// <summary>Continues a prompt.</summary>
    /// <param name="prompt">The text to continue; <see cref="PromptEncoder.Encode(string)"/> says how it is read.</param>
    /// <param name="sampler">Draws the tokens and knows when to end.</param>
    /// <param name="cancellationToken">Stops before the next token.</param>
    /// <returns>One piece a token, as they are drawn; the last one says why it is the last.</returns>
    /// <exception cref="UserErrorException">The prompt is longer than the context or an option out of range; thrown on the call.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public IEnumerable<GeneratedPiece> Stream(string prompt, Sampler sampler, CancellationToken cancellationToken = default) =>
        Stream(_encoder.Encode(prompt), sampler, cancellationToken);

    /// <summary>Continues token ids.</summary>
    /// <param name="prompt">The ids, one or more.</param>
    /// <param name="sampler">Draws the tokens and knows when to end.</param>
    /// <param name="cancellationToken">Stops before the next token.</param>
    /// <returns>One piece a token, as they are drawn; the last one says why it is the last.</returns>
    /// <exception cref="UserErrorException">There are more ids than the context holds, one is unknown, or an option is out of range; thrown on the call.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public IEnumerable<GeneratedPiece> Stream(int[] prompt, Sampler sampler, CancellationToken cancellationToken = default) =>
        Stream(new GeneratedSequence(_model, _tokenizer, _encoder.Check(prompt), sampler), cancellationToken);

    /// <summary>Continues a prompt and gives the whole text.</summary>
    /// <param name="prompt">The text to continue.</param>
    /// <param name="options">How to draw and when to end.</param>
    /// <param name="cancellationToken">Stops before the next token.</param>
    /// <exception cref="UserErrorException">The prompt is longer than the context or an option out of range.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public GenerationResult Generate(string prompt, SamplingOptions options, CancellationToken cancellationToken = default) =>
        GenerationResult.Collect(Stream(prompt, new Sampler(options), cancellationToken));

    private IEnumerable<GeneratedPiece> Stream(GeneratedSequence sequence, CancellationToken cancellationToken)
    {
        using var session = _model.StartSession();
        while (!sequence.IsFinished)
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return sequence.Next(session.Append(sequence.Input.Span));
        }
    }
}
