using CoFrGeNet.Configuration;

namespace CoFrGeNet.Training;

/// <summary>Which text is trained on, and how it is cut.</summary>
public sealed record DataConfig
{
    /// <summary>The value of <see cref="Source"/> that stands for the XML documentation of the .NET SDK on this machine.</summary>
    public const string SdkDocumentation = "sdk-docs";

    /// <summary>
    /// <c>sdk-docs</c>, or the path of a text file, a .gz or .zst file, a folder of them, a prepared folder (data prepare), or token files (.bin) of llm.c's or
    /// nanoGPT's layout.
    /// </summary>
    public string Source { get; init; } = SdkDocumentation;

    /// <summary>Several texts with weights instead of <see cref="Source"/>; absent: that one alone.</summary>
    public IReadOnlyList<DataSourceConfig>? Sources { get; init; }

    /// <summary>Held-out text of its own, as a path; absent: a part of <see cref="Source"/> is held out by document.</summary>
    public string? ValidationSource { get; init; }

    /// <summary>Name of the tokenizer (byte, gpt2), or the path of its file or folder.</summary>
    public string Tokenizer { get; init; } = "byte";

    /// <summary>Share of documents held out for validation; above 0, below 1.</summary>
    public double ValidationFraction { get; init; } = 0.05;

    /// <summary>Chooses which documents are held out; 0 or more.</summary>
    public int SplitSeed { get; init; }

    /// <summary>Whether token files are read as a whole at the start and compared with their checksums.</summary>
    public bool VerifyFiles { get; init; } = true;

    /// <summary>The texts with the default resolved: one or several.</summary>
    public IReadOnlyList<DataSourceConfig> ResolveSources() => Sources ?? [new DataSourceConfig { Path = Source }];

    /// <summary>Compares by content.</summary>
    /// <param name="other">The configuration to compare with.</param>
    public bool Equals(DataConfig? other) => other is not null && Source == other.Source && ResolveSources().SequenceEqual(other.ResolveSources())
        && ValidationSource == other.ValidationSource && Tokenizer == other.Tokenizer && ValidationFraction.Equals(other.ValidationFraction)
        && SplitSeed == other.SplitSeed && VerifyFiles == other.VerifyFiles;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Source, ValidationSource, Tokenizer, SplitSeed);

    internal void Check(ConfigCheck at)
    {
        at.That(Source.Length > 0, "source", "empty", $"'{SdkDocumentation}' or a path");
        if (Sources is not null)
        {
            at.That(Sources.Count > 0, "sources", "empty", "at least one source");
            at.That(Source == SdkDocumentation, "source", $"{Source} beside data.sources", "one of the two");
            for (var i = 0; i < Sources.Count; i++)
            {
                at.That(Sources[i].Path.Length > 0, $"sources[{i}].path", "empty", $"'{SdkDocumentation}' or a path");
                at.Above(Sources[i].Weight, 0, $"sources[{i}].weight");
            }
        }

        at.AtLeast(SplitSeed, 0, "splitSeed");
        at.That(ValidationFraction is > 0 and < 1, "validationFraction", $"{ValidationFraction}", "a number above 0 and below 1");
    }
}

/// <summary>One text of several.</summary>
public sealed record DataSourceConfig
{
    /// <summary>What <see cref="DataConfig.Source"/> may be.</summary>
    public required string Path { get; init; }

    /// <summary>Its share of the training windows, relative to the others; above 0.</summary>
    public double Weight { get; init; } = 1;
}
