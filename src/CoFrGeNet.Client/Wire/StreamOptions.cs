namespace CoFrGeNet.Client;

/// <summary>The member <c>stream_options</c>.</summary>
public sealed record StreamOptions
{
    /// <summary>Whether one more chunk at the end, without choices, holds the usage.</summary>
    public bool? IncludeUsage { get; init; }
}
