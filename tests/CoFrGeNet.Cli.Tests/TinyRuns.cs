namespace CoFrGeNet.Cli.Tests;

/// <summary>A folder with a small text, and command lines that train on it within a second; gone after the test.</summary>
internal sealed class TinyRuns : IDisposable
{
    public TinyRuns() => Text = Write("text.txt", string.Concat(Enumerable.Range(0, 120).Select(i => $"Line {i} says that {i * 7 % 13} follows {i * 5 % 11}.\n\n")));

    public string Root { get; } = Directory.CreateTempSubdirectory("cofrgenet-test-").FullName;

    public string Text { get; }

    public string File(string name) => Path.Combine(Root, name);

    public string Write(string name, string content)
    {
        System.IO.File.WriteAllText(File(name), content);
        return File(name);
    }

    /// <summary>train with a model of a few thousand parameters; later arguments win.</summary>
    public string[] Train(string preset, string run, params string[] more) =>
    [
        "train", "--preset", preset, "--data", Text, "--out", File(run), "--threads", "1", .. Small, .. more,
    ];

    public static string[] Small { get; } =
    [
        "--set", "model.contextLength=16", "--set", "model.width=16", "--set", "model.blocks.0.repeat=2",
        "--set", "training.tokensPerStep=64", "--set", "training.steps=12", "--set", "training.logEvery=1",
        "--set", "training.evaluateEvery=4", "--set", "training.checkpointEvery=100", "--set", "training.evaluationTokens=256",
    ];

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
