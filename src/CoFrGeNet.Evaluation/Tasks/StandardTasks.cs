using System.Text.RegularExpressions;

namespace CoFrGeNet.Evaluation;

/// <summary>The tasks of lm-evaluation-harness that stand alone, with its prompts, metrics and versions.</summary>
internal static partial class StandardTasks
{
    private const string Train = "train";
    private const string Validation = "validation";
    private const string Test = "test";

    /// <summary>All of them.</summary>
    public static IReadOnlyList<EvaluationTask> All { get; } =
    [
        new WikitextTask(new("EleutherAI/wikitext_document_level", "wikitext-2-raw-v1", Test, Train, ["wikitext", "wikitext2"])),
        new LastWordTask("lambada_openai", "1", new("EleutherAI/lambada_openai", "default", Test, Test, ["lambada_openai", "lambada"])),
        new MultipleChoiceTask("piqa", "1", new("baber/piqa", "default", Validation, Train, ["piqa"]), true, Piqa) { DrawsOneMore = true },
        new MultipleChoiceTask("arc_easy", "1", new("allenai/ai2_arc", "ARC-Easy", Test, Train, ["arc_easy", "ARC-Easy"]), true, Arc),
        new MultipleChoiceTask("arc_challenge", "1", new("allenai/ai2_arc", "ARC-Challenge", Test, Train, ["arc_challenge", "ARC-Challenge"]), true, Arc),
        new MultipleChoiceTask("hellaswag", "1", new("Rowan/hellaswag", "default", Validation, Train, ["hellaswag"]), true, HellaSwag) { DrawsOneMore = true },
        new MultipleChoiceTask("winogrande", "1", new("allenai/winogrande", "winogrande_xl", Validation, Train, ["winogrande"]), false, WinoGrande) { DrawsOneMore = true },
        new MultipleChoiceTask("openbookqa", "1", new("allenai/openbookqa", "main", Test, Train, ["openbookqa"]), true, OpenBookQA),
        new MultipleChoiceTask("sciq", "1", new("allenai/sciq", "default", Test, Train, ["sciq"]), true, SciQ),
        new MultipleChoiceTask("boolq", "2", new("aps/super_glue", "boolq", Validation, Train, ["boolq"]), false, BoolQ) { DrawsOneMore = true },
        new MultipleChoiceTask("copa", "1", new("aps/super_glue", "copa", Validation, Train, ["copa"]), false, Copa) { DrawsOneMore = true },
        new MultipleChoiceTask("social_iqa", "0", new("lighteval/siqa", "default", Validation, Train, ["social_iqa", "siqa"]), false, SocialIQa) { DrawsOneMore = true },
    ];

    private static ChoiceQuestion Piqa(DataRecord record) =>
        new($"Question: {record.Text("goal")}\nAnswer:", [record.Text("sol1"), record.Text("sol2")], record.Integer("label"));

    private static ChoiceQuestion Arc(DataRecord record)
    {
        var (texts, gold, fields) = Lettered(record, "question");
        return new($"Question: {fields.Text("question")}\nAnswer:", texts, gold);
    }

    private static ChoiceQuestion OpenBookQA(DataRecord record)
    {
        var (texts, gold, fields) = Lettered(record, "question_stem");
        return new(fields.Text("question_stem"), texts, gold);
    }

    // Three to five choices with letters or digits; the key is one of them.
    private static (IReadOnlyList<string> Texts, int Gold, DataRecord Fields) Lettered(DataRecord record, string questionField)
    {
        var fields = QueryLayout.ToLettered(record, questionField);
        var labels = fields.Texts("choices.label");
        return (fields.Texts("choices.text"), labels.ToList().IndexOf(fields.Text("answerKey").TrimStart()), fields);
    }

    private static ChoiceQuestion HellaSwag(DataRecord record)
    {
        var context = record.Text("ctx_a") + " " + Capitalize(record.Text("ctx_b"));
        return new(
            CleanHellaSwag(record.Text("activity_label") + ": " + context), [.. record.Texts("endings").Select(CleanHellaSwag)], record.Integer("label"));
    }

    /// <summary>Takes WikiHow's marks out, in one pass for double spaces.</summary>
    internal static string CleanHellaSwag(string text) =>
        Brackets().Replace(text.Trim().Replace(" [title]", ". ", StringComparison.Ordinal), string.Empty).Replace("  ", " ", StringComparison.Ordinal);

    // Python's capitalize: the first letter large, all others small.
    private static string Capitalize(string text) =>
        text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..].ToLowerInvariant();

    private static ChoiceQuestion WinoGrande(DataRecord record)
    {
        var sentence = record.Text("sentence");
        var gap = sentence.IndexOf('_', StringComparison.Ordinal);
        if (gap < 0)
        {
            throw new UserErrorException($"{record.Origin}: 'sentence' has no gap '_'.");
        }

        var rest = sentence[(gap + 1)..].Trim();
        return new([sentence[..gap] + record.Text("option1"), sentence[..gap] + record.Text("option2")], [rest, rest], record.Integer("answer") - 1);
    }

    // The right answer is always the last one, so ties favour the distractors.
    private static ChoiceQuestion SciQ(DataRecord record) => new(
        $"{record.Text("support").TrimStart()}\nQuestion: {record.Text("question")}\nAnswer:",
        [record.Text("distractor1"), record.Text("distractor2"), record.Text("distractor3"), record.Text("correct_answer")],
        3);

    private static ChoiceQuestion BoolQ(DataRecord record)
    {
        var fields = QueryLayout.ToBoolQ(record);
        return new($"{fields.Text("passage")}\nQuestion: {fields.Text("question")}?\nAnswer:", ["no", "yes"], fields.Integer("label"));
    }

    // The choice has a space of its own, so two stand before it.
    private static ChoiceQuestion Copa(DataRecord record)
    {
        var link = record.Text("question") == "cause" ? "because" : "therefore";
        var premise = record.Text("premise").Trim();
        return new(
            premise[..Math.Max(0, premise.Length - 1)] + " " + link, [" " + Decapitalize(record.Text("choice1")), " " + Decapitalize(record.Text("choice2"))], record.Integer("label"));
    }

    private static string Decapitalize(string text) => text.Length == 0 ? text : char.ToLowerInvariant(text[0]) + text[1..];

    private static ChoiceQuestion SocialIQa(DataRecord record) => new(
        $"Q: {record.Text("context")} {record.Text("question")}\nA:", [record.Text("answerA"), record.Text("answerB"), record.Text("answerC")], record.Integer("label") - 1);

    [GeneratedRegex(@"\[.*?\]")]
    private static partial Regex Brackets();
}
