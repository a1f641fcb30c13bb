using System.Text.Json.Nodes;

namespace CoFrGeNet.Evaluation;

/// <summary>
/// Turns records of the layout <c>query, choices, gold</c>, in which some collections hand out multiple-choice tasks with the prompt already
/// made, into the fields that the data set has on the Hugging Face hub, so that our prompts are made from them.
/// </summary>
internal static class QueryLayout
{
    private const string Question = "Question: ";
    private const string Answer = "\nAnswer:";

    /// <summary>Whether a record is of that layout and has no fields of its own.</summary>
    public static bool Is(DataRecord record) => record.Has("query") && record.Has("gold") && record.Fields["choices"] is JsonArray;

    /// <summary>ARC and OpenBookQA: the question, and choices with letters.</summary>
    /// <param name="record">A record.</param>
    /// <param name="questionField">The name of the question's field on the hub.</param>
    public static DataRecord ToLettered(DataRecord record, string questionField)
    {
        if (!Is(record))
        {
            return record;
        }

        var texts = record.Texts("choices");
        var labels = Enumerable.Range(0, texts.Count).Select(i => ((char)('A' + i)).ToString()).ToArray();
        return record with
        {
            Fields = new JsonObject
            {
                [questionField] = Between(record, Question, Answer),
                ["choices"] = new JsonObject { ["text"] = List(texts), ["label"] = List(labels) },
                ["answerKey"] = labels[Math.Clamp(record.Integer("gold"), 0, labels.Length - 1)],
            },
        };
    }

    /// <summary>BoolQ: passage, question without its mark, and the answer yes as 1.</summary>
    public static DataRecord ToBoolQ(DataRecord record)
    {
        if (!Is(record))
        {
            return record;
        }

        var query = record.Text("query");
        var at = query.LastIndexOf("\n" + Question, StringComparison.Ordinal);
        if (at < 0 || !query.EndsWith("?" + Answer, StringComparison.Ordinal))
        {
            throw Unlike(record, $"passage, line break, '{Question}..?', line break, 'Answer:'");
        }

        return record with
        {
            Fields = new JsonObject
            {
                ["passage"] = query[..at],
                ["question"] = query[(at + 1 + Question.Length)..^(1 + Answer.Length)],
                ["label"] = record.Texts("choices")[record.Integer("gold")] == "yes" ? 1 : 0,
            },
        };
    }

    private static string Between(DataRecord record, string start, string end)
    {
        var query = record.Text("query");
        return query.StartsWith(start, StringComparison.Ordinal) && query.EndsWith(end, StringComparison.Ordinal) && query.Length >= start.Length + end.Length
            ? query[start.Length..^end.Length]
            : throw Unlike(record, $"'{start}..', line break, 'Answer:'");
    }

    private static JsonArray List(IEnumerable<string> texts) => new([.. texts.Select(text => JsonValue.Create(text))]);

    private static UserErrorException Unlike(DataRecord record, string expected) =>
        new($"{record.Origin}: the field 'query' is not of the form {expected}; give the data with the fields that it has on the Hugging Face hub.");
}
