namespace CoFrGeNet.Client;

/// <summary>The body of <c>POST /tokenize</c>.</summary>
public sealed record TokenizeRequest
{
    /// <summary>The model's name; may be absent where only one is served.</summary>
    public string? Model { get; init; }

    /// <summary>The text; special tokens are recognised by their spelling.</summary>
    public string? Prompt { get; init; }

    /// <summary>Whether the begin-of-text token comes first where the tokenizer has one; default true.</summary>
    public bool? AddSpecialTokens { get; init; }
}

/// <summary>The answer of <c>POST /tokenize</c>.</summary>
/// <param name="Tokens">The ids.</param>
/// <param name="Count">How many.</param>
/// <param name="MaxModelLen">How many the model takes.</param>
public sealed record TokenizeResponse(IReadOnlyList<int> Tokens, int Count, int MaxModelLen);

/// <summary>The body of <c>POST /detokenize</c>.</summary>
public sealed record DetokenizeRequest
{
    /// <summary>The model's name; may be absent where only one is served.</summary>
    public string? Model { get; init; }

    /// <summary>The ids.</summary>
    public IReadOnlyList<int>? Tokens { get; init; }
}

/// <summary>The answer of <c>POST /detokenize</c>.</summary>
/// <param name="Prompt">The text.</param>
public sealed record DetokenizeResponse(string Prompt);

/// <summary>The answer of <c>GET /tokenizer_info</c>.</summary>
public sealed record TokenizerInfo
{
    /// <summary>The tokenizer's name.</summary>
    public required string TokenizerClass { get; init; }

    /// <summary>Number of ids.</summary>
    public required int VocabSize { get; init; }

    /// <summary>Most tokens of prompt and text together.</summary>
    public required int ModelMaxLength { get; init; }

    /// <summary>Spelling of the end-of-text token.</summary>
    public string? EosToken { get; init; }

    /// <summary>Spelling of the token before a text.</summary>
    public string? BosToken { get; init; }

    /// <summary>Spelling of the token that fills up batches.</summary>
    public string? PadToken { get; init; }

    /// <summary>The template of conversations.</summary>
    public string? ChatTemplate { get; init; }
}
