using System.Text.Json.Nodes;

namespace CoFrGeNet.Evaluation.Tests;

/// <summary>Records, files and runs for tests.</summary>
internal static class Records
{
    public static DataRecord Of(string json) => new((JsonObject)JsonNode.Parse(json)!, "a record");

    public static string Jsonl(params object[] records) => string.Concat(records.Select(record => System.Text.Json.JsonSerializer.Serialize(record) + "\n"));

    public static EvaluationResults Run(FakeModel model, string task, string file, EvaluationOptions? options = null, RequestCache? cache = null) =>
        new Evaluator(model, Text.ByteTokenizer.Instance, new DatasetSource([$"{task}={file}"]), options ?? new EvaluationOptions { BootstrapIters = 10 }, cache)
            .Run([task], stop: TestContext.Current.CancellationToken);

    public static double Figure(this EvaluationResults results, string metric) => results.Tasks[0].Figures.Single(figure => figure.Metric.Name == metric).Value;
}
