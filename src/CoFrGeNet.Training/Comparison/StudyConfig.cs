using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;

namespace CoFrGeNet.Training;

/// <summary>
/// A study: arms that are trained on the same tokens in the same order, each at every learning rate of one grid with the first seed and at its best rate with
/// the other seeds.
/// </summary>
public sealed record StudyConfig
{
    /// <summary>The heading of its document.</summary>
    public required string Title { get; init; }

    /// <summary>What it shall find out, and what it cannot; one entry a paragraph of its document.</summary>
    public IReadOnlyList<string> About { get; init; } = [];

    /// <summary>The commands that make its text, for its document; DATA stands for the text's folder.</summary>
    public IReadOnlyList<string> Text { get; init; } = [];

    /// <summary>Names of the arms that the others are measured by; block shares are relative to the first. Absent: the first arm.</summary>
    public IReadOnlyList<string>? References { get; init; }

    /// <summary>The learning rates that every arm is tried at with the first seed.</summary>
    public required IReadOnlyList<double> LearningRates { get; init; }

    /// <summary>Seeds of weights and data order; at least one.</summary>
    public required IReadOnlyList<int> Seeds { get; init; }

    /// <summary>Training tokens of a run; rounded up to whole steps.</summary>
    public required long Tokens { get; init; }

    /// <summary>How often a run is evaluated, the end included.</summary>
    public int Evaluations { get; init; } = 5;

    /// <summary>Whether copying from the context is measured after each run (<see cref="CoFrGeNet.Evaluation.CopyingProbe"/>).</summary>
    public bool Copying { get; init; }

    /// <summary>What all arms have in common, a run's configuration <c>{ preset?, recipe?, model?, data?, training? }</c>.</summary>
    public JsonObject Common { get; init; } = [];

    /// <summary>The contestants.</summary>
    public required IReadOnlyList<StudyArm> Arms { get; init; }

    /// <summary>The arms that the others are measured by.</summary>
    public IReadOnlyList<string> ResolveReferences() => References ?? [Arms[0].Name];

    /// <summary>Reads a study.</summary>
    /// <param name="path">Its file.</param>
    /// <exception cref="UserErrorException">It is missing or no JSON, or a member is unknown, missing or out of range.</exception>
    public static StudyConfig Load(string path)
    {
        if (!File.Exists(path))
        {
            throw new UserErrorException($"There is no study {path}; give a file such as configs/studies/smoke.json.");
        }

        return StrictJson.Read(StrictJson.Parse(File.ReadAllText(path), path), TrainingJsonContext.Default.StudyConfig, path).Check(path);
    }

    private StudyConfig Check(string path)
    {
        var at = new ConfigCheck(member => $"{path}: {member}");
        at.That(LearningRates.Count > 0 && LearningRates.All(rate => rate > 0 && double.IsFinite(rate)), "learningRates", $"[{string.Join(", ", LearningRates)}]", "at least one, each above 0");
        at.That(Seeds.Count > 0 && Seeds.Distinct().Count() == Seeds.Count, "seeds", $"[{string.Join(", ", Seeds)}]", "at least one, each once");
        at.AtLeast(Tokens, 1, "tokens");
        at.Between(Evaluations, 1, 1000, "evaluations");
        at.That(Arms.Count > 0, "arms", "empty", "at least one arm");
        foreach (var arm in Arms)
        {
            // The names are those of folders too.
            at.That(arm.Name.Length > 0 && arm.Name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '.'), "arms.name", $"'{arm.Name}'", "letters, digits, '-' and '.'");
            at.That(Arms.Count(other => other.Name == arm.Name) == 1, "arms.name", $"'{arm.Name}' twice", "each name once");
        }

        at.That(References is not { Count: 0 }, "references", "[]", "the name of an arm at least, or no such member: the first arm then");
        foreach (var name in ResolveReferences())
        {
            at.That(Arms.Any(arm => arm.Name == name), "references", $"'{name}'", $"the name of an arm: {string.Join(", ", Arms.Select(arm => arm.Name))}");
        }

        return this;
    }
}

/// <summary>A contestant of a study. Later ones win: what the study's arms have in common, the file, the members, <see cref="Set"/>.</summary>
public sealed record StudyArm
{
    /// <summary>Its name, also of its folder.</summary>
    public required string Name { get; init; }

    /// <summary>What it is, in a few words.</summary>
    public string? Note { get; init; }

    /// <summary>A preset in place of the common one.</summary>
    public string? Preset { get; init; }

    /// <summary>A recipe in place of the common one.</summary>
    public string? Recipe { get; init; }

    /// <summary>The file of a run's configuration, relative to the study's file.</summary>
    public string? Config { get; init; }

    /// <summary>Members of the model, merged over the common ones.</summary>
    public JsonObject? Model { get; init; }

    /// <summary>Members of the training, merged over the common ones.</summary>
    public JsonObject? Training { get; init; }

    /// <summary>Overrides of the form <c>path.to.member=value</c>, for example <c>model.blocks.0.feedForward.ladders.count=16</c>.</summary>
    public IReadOnlyList<string> Set { get; init; } = [];
}
