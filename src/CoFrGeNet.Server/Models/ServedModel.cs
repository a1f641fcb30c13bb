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

    /// <summary>The template of conversations in the model's folder, or null.</summary>
    public string? ChatTemplate { get; init; }

    /// <summary>Reads <see cref="ChatTemplate"/> from a model folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <returns>The template, or null where there is none.</returns>
    public static string? ReadChatTemplate(string folder) => CoFrGeNet.Server.ChatTemplate.Read(folder);

    /// <summary>When it was loaded.</summary>
    public DateTimeOffset Created { get; init; } = DateTimeOffset.UtcNow;

    /// <summary>Ids that both the model and the tokenizer know; those beyond only pad the model's vocabulary.</summary>
    internal int KnownIds => Math.Min(Model.VocabularySize, Tokenizer.VocabularySize);
}
