namespace CoFrGeNet.Evaluation;

/// <summary>MMLU: 57 subjects in four groups. The letters are the choices; few-shot examples are the first ones of the split dev.</summary>
internal static class MmluTasks
{
    private const string Prefix = "mmlu_";

    private static readonly (string Group, string[] Subjects)[] Fields =
    [
        ("stem",
        [
            "abstract_algebra", "anatomy", "astronomy", "college_biology", "college_chemistry", "college_computer_science", "college_mathematics",
            "college_physics", "computer_security", "conceptual_physics", "electrical_engineering", "elementary_mathematics", "high_school_biology",
            "high_school_chemistry", "high_school_computer_science", "high_school_mathematics", "high_school_physics", "high_school_statistics",
            "machine_learning",
        ]),
        ("other",
        [
            "business_ethics", "clinical_knowledge", "college_medicine", "global_facts", "human_aging", "management", "marketing", "medical_genetics",
            "miscellaneous", "nutrition", "professional_accounting", "professional_medicine", "virology",
        ]),
        ("social_sciences",
        [
            "econometrics", "high_school_geography", "high_school_government_and_politics", "high_school_macroeconomics", "high_school_microeconomics",
            "high_school_psychology", "human_sexuality", "professional_psychology", "public_relations", "security_studies", "sociology",
            "us_foreign_policy",
        ]),
        ("humanities",
        [
            "formal_logic", "high_school_european_history", "high_school_us_history", "high_school_world_history", "international_law",
            "jurisprudence", "logical_fallacies", "moral_disputes", "moral_scenarios", "philosophy", "prehistory", "professional_law",
            "world_religions",
        ]),
    ];

    /// <summary>The subjects.</summary>
    public static IReadOnlyList<EvaluationTask> All { get; } = [.. Fields.SelectMany(field => field.Subjects).Select(Subject)];

    /// <summary>The group of all, and the four within it.</summary>
    public static IReadOnlyList<TaskGroup> Groups { get; } =
    [
        new("mmlu", "mmlu", "2", [.. Fields.Select(field => Prefix + field.Group)]),
        .. Fields.Select(field => new TaskGroup(Prefix + field.Group, field.Group, "2", [.. field.Subjects.Select(subject => Prefix + subject)])),
    ];

    private static MultipleChoiceTask Subject(string subject) => new(
        Prefix + subject,
        "1",
        new DatasetReference("cais/mmlu", subject, "test", "dev", [$"mmlu/{subject}", "mmlu"]) { Filter = ("subject", subject) },
        normalizes: false,
        Question)
    {
        Group = "mmlu",
        Description = $"The following are multiple choice questions (with answers) about {subject.Replace('_', ' ')}.\n\n",
        TakesFirstExamples = true,
    };

    private static ChoiceQuestion Question(DataRecord record)
    {
        string[] letters = ["A", "B", "C", "D"];
        var choices = record.Texts("choices");
        if (choices.Count != letters.Length)
        {
            throw new UserErrorException($"{record.Origin} has {choices.Count} choices; MMLU's questions have four.");
        }

        var lines = letters.Zip(choices, (letter, choice) => $"{letter}. {choice}\n");
        return new($"{record.Text("question").Trim()}\n{string.Concat(lines)}Answer:", letters, record.Integer("answer"));
    }
}
