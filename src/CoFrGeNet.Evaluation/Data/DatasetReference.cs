namespace CoFrGeNet.Evaluation;

/// <summary>Which data a task reads.</summary>
/// <param name="Repository">The data set on the Hugging Face hub, for example <c>allenai/ai2_arc</c>; empty: it is read from local files only.</param>
/// <param name="Configuration">Its configuration there, for example <c>ARC-Easy</c>.</param>
/// <param name="Split">The split that is scored.</param>
/// <param name="FewShotSplit">The split that few-shot examples come from.</param>
/// <param name="Folders">Names of local folders or files (without ending) in which it is looked for, the first one first.</param>
public sealed record DatasetReference(string Repository, string Configuration, string Split, string FewShotSplit, IReadOnlyList<string> Folders)
{
    /// <summary>Whether the hub has it in a form that is read here.</summary>
    public bool IsOnHub => Repository.Length > 0;

    /// <summary>Fields that a table's header may name; see <see cref="RecordFile.Read"/>.</summary>
    public IReadOnlyList<string> Fields { get; init; } = [];

    /// <summary>Keeps only records whose field has a value: one file may hold all subjects of a group.</summary>
    public (string Field, string Value)? Filter { get; init; }
}
