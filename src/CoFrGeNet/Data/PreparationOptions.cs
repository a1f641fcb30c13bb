using CoFrGeNet.Configuration;

namespace CoFrGeNet.Data;

/// <summary>What determines the result of preparing text; stored with it.</summary>
public sealed record PreparationOptions
{
    /// <summary>Paths of files and folders that are trained on, or <c>-</c> for standard input.</summary>
    public required IReadOnlyList<string> Inputs { get; init; }

    /// <summary>Paths of files and folders for validation alone; empty: a share of the inputs' documents is held out.</summary>
    public IReadOnlyList<string> ValidationInputs { get; init; } = [];

    /// <summary>Name or path of the tokenizer.</summary>
    public string Tokenizer { get; init; } = "gpt2";

    /// <summary>Share of documents held out for validation where there are no validation inputs; 0 or more, below 1.</summary>
    public double ValidationShare { get; init; } = 0.005;

    /// <summary>Chooses which documents are held out; 0 or more.</summary>
    public int SplitSeed { get; init; }

    /// <summary>How the ids are written.</summary>
    public TokenLayout Layout { get; init; } = TokenLayout.Llmc;

    /// <summary>Tokens of a file; absent: 100 million in llm.c's layout, everything in one file in nanoGPT's.</summary>
    public long? ShardTokens { get; init; }

    /// <summary>The line that separates documents of a text file; empty: a file is one document.</summary>
    public string Separator { get; init; } = "<|endoftext|>";

    /// <summary>The member of JSON lines that holds the text.</summary>
    public string Field { get; init; } = "text";

    /// <summary>The column of Parquet files that holds the text.</summary>
    public string Column { get; init; } = "text";

    /// <summary>Longer documents are cut into several, at a line end where there is one, so that memory stays bounded; in characters, 1000 or more.</summary>
    public int LongestDocument { get; init; } = 1 << 24;

    /// <summary>Whether documents whose text came before are dropped.</summary>
    public bool DropDuplicates { get; init; } = true;

    /// <summary>Tokens of a file with the default resolved.</summary>
    public long ResolveShardTokens() => ShardTokens ?? (Layout == TokenLayout.Llmc ? 100_000_000 : long.MaxValue);

    /// <summary>Compares by content.</summary>
    /// <param name="other">The options to compare with.</param>
    public bool Equals(PreparationOptions? other) => other is not null && Inputs.SequenceEqual(other.Inputs) && ValidationInputs.SequenceEqual(other.ValidationInputs)
        && Tokenizer == other.Tokenizer && ValidationShare.Equals(other.ValidationShare) && SplitSeed == other.SplitSeed && Layout == other.Layout
        && ShardTokens == other.ShardTokens && Separator == other.Separator && Field == other.Field && Column == other.Column
        && LongestDocument == other.LongestDocument && DropDuplicates == other.DropDuplicates;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Inputs.Count, Tokenizer, Layout, ShardTokens);

    /// <summary>Checks every member.</summary>
    /// <param name="bytesPerToken">Bytes of an id.</param>
    /// <exception cref="UserErrorException">A member is out of range; the message names it and what is allowed.</exception>
    public void Check(int bytesPerToken)
    {
        var at = new ConfigCheck("preparation");
        at.That(Inputs.Count > 0, "inputs", "empty", "at least one path");
        at.That(ValidationShare is >= 0 and < 1, "validationShare", $"{ValidationShare}", "0 or more, below 1");
        at.AtLeast(SplitSeed, 0, "splitSeed");
        at.AtLeast(LongestDocument, 1000, "longestDocument");
        at.That(Field.Length > 0, "field", "empty", "the name of a member");
        at.That(Column.Length > 0, "column", "empty", "the name of a column");
        at.That(!Separator.Contains('\n', StringComparison.Ordinal), "separator", "more than one line", "one line");
        // llm.c's reader seeks with 32 bits.
        var most = Layout == TokenLayout.Llmc ? (int.MaxValue - TokenHeader.Bytes) / bytesPerToken : long.MaxValue;
        at.Between(ResolveShardTokens(), 1000, most, "shardTokens");
    }
}
