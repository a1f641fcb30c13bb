using CoFrGeNet.ContinuedFractions;
using CoFrGeNet.Generation;
using CoFrGeNet.Text;

namespace CoFrGeNet.Server;

/// <summary>A model as the server offers it.</summary>
public sealed record ServedModel
{
    /// <summary>The name that requests use.</summary>
    public required string Name { get; init; }

    /// <summary>The model.</summary>
    public required ILanguageModel Model { get; init; }

    /// <summary>The tokenizer that it was trained with.</summary>
    public required ITokenizer Tokenizer { get; init; }

    /// <summary>Number of parameters, if known.</summary>
    public long? Parameters { get; init; }

    /// <summary>Tokens that the engine's caches hold for all sequences together; null: as many as come.</summary>
    public long? CacheTokens { get; init; }

    /// <summary>How conversations become prompts.</summary>
    public ChatTemplate Template { get; init; } = ChatTemplate.Plain;

    /// <summary>The template in the model's folder in its own language, for clients that run it themselves; or null.</summary>
    public string? Jinja { get; init; }

    /// <summary>When it was loaded.</summary>
    public DateTimeOffset Created { get; init; } = DateTimeOffset.UtcNow;

    /// <summary>The model as one whose ladders can be looked at; null where it has none.</summary>
    internal ILadderInspection? Ladders => Model is ILadderInspection { HasLadders: true } inspection ? inspection : null;

    /// <summary>Ids that both the model and the tokenizer know; those beyond only pad the model's vocabulary.</summary>
    internal int KnownIds => Math.Min(Model.VocabularySize, Tokenizer.VocabularySize);
}
