using CoFrGeNet.Generation;

namespace CoFrGeNet.Server;

/// <summary>A served model with its scheduler and what turns texts into tokens and back.</summary>
internal sealed class ModelHost : IDisposable
{
    /// <summary>Starts serving a model.</summary>
    public ModelHost(ServedModel model, ServerOptions options, ServerMetrics metrics, ILogger log)
    {
        Model = model;
        Encoder = new PromptEncoder(model.Tokenizer, model.Model.ContextLength);
        Texts = new TokenTexts(model.Tokenizer);
        Scheduler = new Scheduler(model, options, metrics, log);
    }

    /// <summary>The model.</summary>
    public ServedModel Model { get; }

    /// <summary>Its name.</summary>
    public string Name => Model.Name;

    /// <summary>Most tokens of prompt and text together.</summary>
    public int ContextLength => Model.Model.ContextLength;

    /// <summary>Turns prompts into ids.</summary>
    public PromptEncoder Encoder { get; }

    /// <summary>Turns single ids into texts.</summary>
    public TokenTexts Texts { get; }

    /// <summary>Computes.</summary>
    public Scheduler Scheduler { get; }

    /// <summary>
    /// The ids of a prompt. Special tokens are recognised by their spelling, so that a prompt means the same as the ids that <c>/tokenize</c> gives for it; an empty one becomes the
    /// end-of-text token, after which a new text starts.
    /// </summary>
    /// <param name="text">The prompt.</param>
    /// <param name="addsSpecialTokens">Whether the begin-of-text token comes first where the tokenizer has one.</param>
    public int[] Encode(string text, bool addsSpecialTokens)
    {
        var ids = Tokenize(text, addsSpecialTokens);
        return ids.Length == 0 && Model.Tokenizer.EndOfTextId is { } end ? [end] : ids;
    }

    /// <summary>The same, where an empty text has no ids.</summary>
    /// <param name="text">The text.</param>
    /// <param name="addsSpecialTokens">Whether the begin-of-text token comes first where the tokenizer has one.</param>
    public int[] Tokenize(string text, bool addsSpecialTokens)
    {
        var ids = Encoder.Marked(text);
        return addsSpecialTokens && Model.Tokenizer.BeginOfTextId is { } begin && (ids.Length == 0 || ids[0] != begin) ? [begin, .. ids] : ids;
    }

    /// <inheritdoc/>
    public void Dispose() => Scheduler.Dispose();
}
