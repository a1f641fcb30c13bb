using System.Globalization;

namespace CoFrGeNet.Cli;

/// <summary>A figure, and the physical limit of the same run that it is to be read against.</summary>
/// <param name="Name">What was measured.</param>
/// <param name="Value">How much.</param>
/// <param name="Unit">The unit of value and limit.</param>
/// <param name="Limit">What the machine could do at best; null where there is no such limit.</param>
internal sealed record BenchmarkResult(string Name, double Value, string Unit, double? Limit);

/// <summary>The figures and ratios of one bench subcommand, as a table or as the JSON document.</summary>
internal sealed class BenchmarkReport
{
    private readonly List<BenchmarkResult> _results = [];
    private readonly Dictionary<string, double> _ratios = [];

    /// <summary>Adds a figure.</summary>
    /// <param name="name">What was measured.</param>
    /// <param name="value">How much.</param>
    /// <param name="unit">Its unit.</param>
    /// <param name="limit">The physical limit in the same unit, if there is one.</param>
    public void Add(string name, double value, string unit, double? limit = null) => _results.Add(new(name, value, unit, limit));

    /// <summary>A figure added before, or null.</summary>
    /// <param name="name">Its name.</param>
    public BenchmarkResult? Find(string name) => _results.Find(result => result.Name == name);

    /// <summary>Adds a ratio of two figures of this run.</summary>
    /// <param name="name">Its name, such as <c>elementwise.forward.fusedOverNaive</c>.</param>
    /// <param name="value">The ratio.</param>
    public void AddRatio(string name, double value) => _ratios.Add(name, value);

    /// <summary>The JSON document: <c>results</c>, <c>ratios</c>, and what else the caller knows of the run.</summary>
    /// <param name="settings">The settings of the run.</param>
    public object Document(object settings) => new { Results = _results, Ratios = _ratios, Settings = settings, Processors = Environment.ProcessorCount };

    /// <summary>Prints both tables.</summary>
    /// <param name="writer">Where to.</param>
    public void Write(TextWriter writer)
    {
        var width = _results.Select(result => result.Name.Length).Concat(_ratios.Keys.Select(name => name.Length)).Append(0).Max();
        foreach (var result in _results)
        {
            var limit = result.Limit is { } value ? $"   of {Number(value)} {result.Unit} ({result.Value / value:P0})" : string.Empty;
            writer.WriteLine($"{result.Name.PadRight(width)}  {Number(result.Value),10} {result.Unit}{limit}");
        }

        foreach (var (name, value) in _ratios)
        {
            writer.WriteLine($"{name.PadRight(width)}  {Number(value),10}");
        }
    }

    private static string Number(double value) => value.ToString(Math.Abs(value) >= 100 ? "F0" : "F2", CultureInfo.InvariantCulture);
}
