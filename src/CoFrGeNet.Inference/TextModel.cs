using System.Runtime.CompilerServices;
using CoFrGeNet.Configuration;
using CoFrGeNet.Generation;
using CoFrGeNet.Text;

namespace CoFrGeNet.Inference;

/// <summary>
/// A model with its tokenizer, ready to continue texts:
/// <code>
/// using var model = TextModel.Load("runs/mine/final");
/// await foreach (var piece in model.StreamAsync("Once upon a time")) Console.Write(piece.Text);
/// </code>
/// May be used by several threads at once; each text has a session of its own and does not depend on the others.
/// </summary>
public sealed class TextModel : IDisposable
{
    private readonly PromptEncoder _encoder;
    private readonly IDisposable? _owned;

    /// <summary>Joins a model of any engine and its tokenizer.</summary>
    /// <param name="model">The model; it is not disposed.</param>
    /// <param name="tokenizer">The tokenizer that it was trained with.</param>
    /// <param name="name">What clients call it.</param>
    /// <param name="template">How conversations become prompts; absent: <see cref="ChatTemplate.Plain"/>.</param>
    public TextModel(ILanguageModel model, ITokenizer tokenizer, string name = "model", ChatTemplate? template = null)
        : this(model, tokenizer, name, template, owned: null)
    {
    }

    private TextModel(ILanguageModel model, ITokenizer tokenizer, string name, ChatTemplate? template, IDisposable? owned)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentException.ThrowIfNullOrEmpty(name);
        Model = model;
        Tokenizer = tokenizer;
        Name = name;
        Template = template ?? ChatTemplate.Plain;
        _encoder = new PromptEncoder(tokenizer, model.ContextLength);
        _owned = owned;
    }

    /// <summary>The model.</summary>
    public ILanguageModel Model { get; }

    /// <summary>Its tokenizer.</summary>
    public ITokenizer Tokenizer { get; }

    /// <summary>What clients call it.</summary>
    public string Name { get; }

    /// <summary>How conversations become prompts.</summary>
    public ChatTemplate Template { get; }

    /// <summary>Loads a model folder. Weights are mapped into memory and read when they are needed.</summary>
    /// <param name="folder">A model folder, for example RUN/final.</param>
    /// <param name="options">How to load it; absent: all cores, no limits.</param>
    /// <exception cref="UserErrorException">A file is missing, damaged, or does not fit the others.</exception>
    public static TextModel Load(string folder, InferenceOptions? options = null)
    {
        var config = ModelFolderConfig.Read(folder);
        // A large vocabulary takes as long as the model.
        var tokenizer = Task.Run(() => TokenizerFiles.Load(folder, config));
        var model = InferenceModel.Load(folder, options);
        try
        {
            var name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
            var words = tokenizer.GetAwaiter().GetResult();
            return new TextModel(model, words, name.Length == 0 ? "model" : name, ChatTemplate.ForFolder(folder, words), model);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Continues a prompt, piece by piece as tokens are drawn.</summary>
    /// <param name="prompt">The text to continue; <see cref="PromptEncoder.Encode(string)"/> says how it is read.</param>
    /// <param name="options">How to draw and when to end; absent: the defaults of <see cref="SamplingOptions"/>.</param>
    /// <param name="cancellationToken">Stops before the next token. Leaving the loop stops as well.</param>
    /// <returns>One piece a token; the last one says why it is the last.</returns>
    /// <exception cref="UserErrorException">The prompt is longer than the context or an option out of range; thrown on the call.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public IAsyncEnumerable<GeneratedPiece> StreamAsync(string prompt, SamplingOptions? options = null, CancellationToken cancellationToken = default) =>
        StreamAsync(Start(_encoder.Encode(prompt), new Sampler(options ?? new SamplingOptions())), cancellationToken);

    /// <summary>Continues a prompt and gives the whole text.</summary>
    /// <param name="prompt">The text to continue.</param>
    /// <param name="options">How to draw and when to end; absent: the defaults of <see cref="SamplingOptions"/>.</param>
    /// <param name="cancellationToken">Stops before the next token.</param>
    /// <exception cref="UserErrorException">The prompt is longer than the context or an option out of range.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public async Task<GenerationResult> GenerateAsync(string prompt, SamplingOptions? options = null, CancellationToken cancellationToken = default)
    {
        var pieces = new List<GeneratedPiece>();
        await foreach (var piece in StreamAsync(prompt, options, cancellationToken).ConfigureAwait(false))
        {
            pieces.Add(piece);
        }

        return GenerationResult.Collect(pieces);
    }

    /// <summary>Frees the model where <see cref="Load"/> made it.</summary>
    public void Dispose() => _owned?.Dispose();

    /// <summary>Prepares the answer of a conversation.</summary>
    internal GeneratedSequence Start(IEnumerable<PromptPart> prompt, SamplingOptions options) => Start(_encoder.Encode(prompt), new Sampler(options));

    /// <summary>Draws the tokens of a sequence. Each one is computed on the thread pool, so that whoever awaits it, a window for example, is not held up.</summary>
    internal async IAsyncEnumerable<GeneratedPiece> StreamAsync(GeneratedSequence sequence, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var session = Model.StartSession();
        GeneratedPiece Next() => sequence.Next(session.Append(sequence.Input.Span));
        while (!sequence.IsFinished)
        {
            yield return await Task.Run(Next, cancellationToken).ConfigureAwait(false);
        }
    }

    private GeneratedSequence Start(int[] prompt, Sampler sampler) => new(Model, Tokenizer, prompt, sampler);
}
