namespace CoFrGeNet.Text;

/// <summary>A token that is found by its spelling before anything else, not by merging.</summary>
/// <param name="Content">Its spelling.</param>
/// <param name="Id">Its id.</param>
/// <param name="IsSpecial">Whether it is a mark that ordinary text never becomes; otherwise its spelling in a text always becomes it.</param>
internal sealed record AddedToken(string Content, int Id, bool IsSpecial);

/// <summary>Everything that a byte-level BPE tokenizer is made of.</summary>
internal sealed record BytePairVocabulary
{
    /// <summary>The name of the tokenizer: that of the file in a model folder.</summary>
    public string Name { get; init; } = TokenizerFiles.HuggingFaceFile;

    /// <summary>The bytes of every token by id; null for ids that no text encodes to.</summary>
    public required byte[]?[] Tokens { get; init; }

    /// <summary>The merges.</summary>
    public required IReadOnlyCollection<BytePairMerge> Merges { get; init; }

    /// <summary>What cuts text into pieces, each within the pieces of the one before.</summary>
    public required PieceSplitter[] Splitters { get; init; }

    /// <summary>Tokens that are found by their spelling.</summary>
    public IReadOnlyList<AddedToken> AddedTokens { get; init; } = [];

    /// <summary>Whether a piece that is a token stands for itself even where merging would not lead to it.</summary>
    public bool IgnoreMerges { get; init; }

    /// <summary>Whether merging is known to lead to every token, as where the merges were found from the tokens: it is not tried then, which takes most of the time of loading.</summary>
    public bool EveryTokenMerges { get; init; }

    /// <summary>Whether a space is put before a text that does not begin with one.</summary>
    public bool AddPrefixSpace { get; init; }

    /// <summary>The token of bytes that have none; null: such bytes are an error.</summary>
    public int? UnknownId { get; init; }

    /// <summary>The mark before a text; null: the vocabulary's conventional one, if it has one.</summary>
    public int? BeginOfTextId { get; init; }

    /// <summary>The mark after a text; null: the vocabulary's conventional one, if it has one.</summary>
    public int? EndOfTextId { get; init; }

    /// <summary>The file to keep with a model; null: one is written from the members.</summary>
    public byte[]? File { get; init; }
}
