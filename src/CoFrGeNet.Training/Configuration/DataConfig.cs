using CoFrGeNet.Configuration;

namespace CoFrGeNet.Training;

/// <summary>Which text is trained on, and how it is cut.</summary>
public sealed record DataConfig
{
    /// <summary>The value of <see cref="Source"/> that stands for the XML documentation of the .NET SDK on this machine.</summary>
    public const string SdkDocumentation = "sdk-docs";

    /// <summary><c>sdk-docs</c>, or the path of a text file, a .gz file or a folder of them.</summary>
    public string Source { get; init; } = SdkDocumentation;

    /// <summary>Held-out text of its own, as a path; absent: a part of <see cref="Source"/> is held out by document.</summary>
    public string? ValidationSource { get; init; }

    /// <summary>Name of the tokenizer.</summary>
    public string Tokenizer { get; init; } = "byte";

    /// <summary>Share of documents held out for validation; above 0, below 1.</summary>
    public double ValidationFraction { get; init; } = 0.05;

    /// <summary>Chooses which documents are held out; 0 or more.</summary>
    public int SplitSeed { get; init; }

    internal void Check(ConfigCheck at)
    {
        at.That(Source.Length > 0, "source", "empty", $"'{SdkDocumentation}' or a path");
        at.AtLeast(SplitSeed, 0, "splitSeed");
        at.That(ValidationFraction is > 0 and < 1, "validationFraction", $"{ValidationFraction}", "a number above 0 and below 1");
    }
}
