using CoFrGeNet.Training;

namespace CoFrGeNet.Cli;

/// <summary>
/// The quickstart's contestants. Their configurations are the files of configs/, where the best learning rate of each is recorded with
/// the search that found it.
/// </summary>
internal static class QuickstartArms
{
    private static readonly (string Name, string File)[] Files = [("transformer", "tiny"), ("CoFrGeNet-F", "tiny-f"), ("CoFrGeNet", "tiny-fu")];

    /// <summary>Builds the contestants, the transformer first.</summary>
    /// <param name="data">The text to train on; null: the one in the files.</param>
    public static IReadOnlyList<ComparisonArm> Build(string? data) =>
        [.. Files.Select(entry => new ComparisonArm(entry.Name, Resolve(entry.File, data)))];

    private static RunConfig Resolve(string file, string? data)
    {
        using var stream = typeof(QuickstartArms).Assembly.GetManifestResourceStream($"configs.{file}.json")
            ?? throw new InvalidOperationException($"The resource configs.{file}.json is missing.");
        using var reader = new StreamReader(stream);
        return new RunConfigSource { Text = reader.ReadToEnd(), Data = data }.Resolve().Config;
    }
}
