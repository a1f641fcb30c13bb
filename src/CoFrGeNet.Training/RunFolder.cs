using System.Text.Json;
using System.Text.Json.Nodes;
using CoFrGeNet.Configuration;
using CoFrGeNet.Storage;

namespace CoFrGeNet.Training;

/// <summary>
/// The folder of a run: <c>run.json</c> (the resolved configuration), <c>metrics.jsonl</c>, TensorBoard events, <c>checkpoints/</c>,
/// <c>final/</c> (a model folder), <c>loss.png</c> and <c>sample.txt</c>.
/// </summary>
public sealed class RunFolder
{
    private const string ConfigFile = "run.json";

    private static readonly HashSet<string> OwnNames = new(StringComparer.Ordinal)
    {
        "checkpoints", ConfigFile, "final", "loss.png", "metrics.jsonl", "quickstart.json", "result.json", RunLock.FileName, "sample.txt", "tensorboard",
    };

    /// <summary>Names the folder of a run, whether it is there or not.</summary>
    /// <param name="path">Where it is.</param>
    internal RunFolder(string path)
    {
        FullPath = Path.GetFullPath(path);
        Checkpoints = new CheckpointFolder(FullPath);
    }

    /// <summary>The folder.</summary>
    public string FullPath { get; }

    /// <summary>Its checkpoints.</summary>
    public CheckpointFolder Checkpoints { get; }

    /// <summary>One JSON object a logged step.</summary>
    public string MetricsFile => Path.Combine(FullPath, "metrics.jsonl");

    /// <summary>TensorBoard events.</summary>
    public string TensorBoardFolder => Path.Combine(FullPath, "tensorboard");

    /// <summary>The model folder that a complete run leaves.</summary>
    public string FinalFolder => Path.Combine(FullPath, "final");

    /// <summary>The picture of the losses.</summary>
    public string LossCurveFile => Path.Combine(FullPath, "loss.png");

    /// <summary>A text by the trained model.</summary>
    public string SampleFile => Path.Combine(FullPath, "sample.txt");

    /// <summary>Starts a new run.</summary>
    /// <param name="path">A folder that does not exist or is empty, unless forced.</param>
    /// <param name="config">The resolved configuration, which is stored.</param>
    /// <param name="force">Whether the files of an earlier run may be deleted.</param>
    /// <exception cref="UserErrorException">The folder has content and force was not given.</exception>
    public static RunFolder Create(string path, RunConfig config, bool force)
    {
        PrepareEmpty(path, force, "or continue it with --resume");
        var folder = new RunFolder(path);
        DurableFile.Write(Path.Combine(path, ConfigFile), JsonSerializer.SerializeToUtf8Bytes(config, TrainingJsonContext.Default.RunConfig));
        return folder;
    }

    /// <summary>Whether a folder holds a run.</summary>
    /// <param name="path">The folder.</param>
    public static bool Exists(string path) => File.Exists(Path.Combine(path, ConfigFile));

    /// <summary>Opens an existing run.</summary>
    /// <param name="path">Its folder.</param>
    /// <returns>The folder and the run's configuration.</returns>
    /// <exception cref="UserErrorException">There is no run in it.</exception>
    public static (RunFolder Folder, RunConfig Config) Open(string path)
    {
        var file = Path.Combine(path, ConfigFile);
        if (!File.Exists(file))
        {
            throw new UserErrorException($"{path} holds no run (it has no {ConfigFile}); give the folder that 'train' wrote, or start a run without --resume.");
        }

        var config = StrictJson.Read(StrictJson.Parse(File.ReadAllText(file), file), TrainingJsonContext.Default.RunConfig, file);
        return (new RunFolder(path), config.Validate());
    }

    /// <summary>Deletes what a killed process left half-written beside the checkpoints. Call it only while nothing writes there.</summary>
    public void DeletePartial()
    {
        DurableFile.DeletePartial(FullPath);
        AtomicDirectory.DeletePartial(FullPath);
    }

    /// <summary>Makes sure that a folder exists and is empty.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="force">Whether files of an earlier run may be deleted; foreign files never are.</param>
    /// <param name="alternative">What else the user can do, for the message.</param>
    /// <exception cref="UserErrorException">It has content and force was not given, or content that no run wrote.</exception>
    public static void PrepareEmpty(string path, bool force, string alternative)
    {
        RequireFree(path, force, alternative);
        if (Directory.Exists(path) && Directory.EnumerateFileSystemEntries(path).Any())
        {
            Directory.Delete(path, recursive: true);
        }

        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"The folder {path} cannot be created ({e.Message.TrimEnd('.')}); give another one with --out.", e);
        }
    }

    /// <summary>Checks what <see cref="PrepareEmpty"/> checks and changes nothing, so that a mistake is told before long work starts.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="force">Whether files of an earlier run may be deleted.</param>
    /// <param name="alternative">What else the user can do, for the message.</param>
    /// <exception cref="UserErrorException">It has content and force was not given, or content that no run wrote.</exception>
    public static void RequireFree(string path, bool force, string alternative)
    {
        if (string.IsNullOrWhiteSpace(path))
        {
            throw new UserErrorException("--out is empty; give the path of a folder.");
        }

        if (File.Exists(path))
        {
            throw new UserErrorException($"{path} is a file; give a folder with --out.");
        }

        if (Directory.Exists(path) && Entries(path).Any())
        {
            if (!force)
            {
                throw new UserErrorException($"{path} is not empty; give another folder with --out, overwrite it with --force, {alternative}.");
            }

            if (Directory.GetDirectories(path).Append(path).FirstOrDefault(RunLock.IsHeld) is { } held)
            {
                throw new UserErrorException($"Another process is training the run in {held}; wait for it or stop it, or give another folder with --out.");
            }

            if (Entries(path).FirstOrDefault(entry => !IsOurs(path, entry)) is { } stranger)
            {
                throw new UserErrorException($"{path} holds {Path.GetFileName(stranger)}, which cofrgenet did not write, so --force does not delete it; give another folder with --out.");
            }
        }
    }

    // A run that was killed before it had a configuration left nothing but that one, half-written.
    private static IEnumerable<string> Entries(string path) => Directory.EnumerateFileSystemEntries(path).Where(entry => !DurableFile.IsPartial(entry));

    // Names alone say nothing: they count only beside a run.json or quickstart.json of ours, and runs inside only in a comparison's folder.
    private static bool IsOurs(string path, string entry)
    {
        var isComparison = File.Exists(Path.Combine(path, "quickstart.json"));
        return (isComparison && Directory.Exists(entry) && HoldsRun(entry))
            || ((isComparison || HoldsRun(path)) && OwnNames.Contains(Path.GetFileName(entry).Split(AtomicDirectory.PartialMarker)[0]));
    }

    // Other tools write a run.json too, so the name alone says nothing.
    private static bool HoldsRun(string path)
    {
        var file = Path.Combine(path, ConfigFile);
        try
        {
            return File.Exists(file) && StrictJson.Parse(File.ReadAllText(file), file) is { } run && run["model"] is JsonObject && run["training"] is JsonObject;
        }
        catch (UserErrorException)
        {
            return false;
        }
    }
}
