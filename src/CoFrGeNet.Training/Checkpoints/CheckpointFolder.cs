using System.Text.Json;
using CoFrGeNet.Configuration;
using CoFrGeNet.Storage;
using CoFrGeNet.Torch;
using CoFrGeNet.Weights;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>
/// The checkpoints of a run: <c>checkpoints/step-NNNNNNNN/</c> with weights, optimizer state and position. A checkpoint is written aside,
/// flushed and renamed, with the file <c>DONE</c> last, so that one which carries its name and marker is whole.
/// </summary>
public sealed class CheckpointFolder
{
    private const string Prefix = "step-";
    private const string Marker = "DONE";
    private const string OptimizerFile = "optimizer.safetensors";
    private const string StateFile = "state.json";

    private readonly string _folder;

    /// <summary>Names the checkpoints of a run.</summary>
    /// <param name="runFolder">The run's folder.</param>
    public CheckpointFolder(string runFolder) => _folder = Path.Combine(runFolder, "checkpoints");

    /// <summary>Finished checkpoints, newest first.</summary>
    public IReadOnlyList<string> Finished => !Directory.Exists(_folder)
        ? []
        : [.. Directory.GetDirectories(_folder, Prefix + "*").Where(path => File.Exists(Path.Combine(path, Marker))).OrderDescending(StringComparer.Ordinal)];

    /// <summary>Writes a checkpoint and deletes the oldest beyond the number to keep.</summary>
    /// <param name="model">The model.</param>
    /// <param name="optimizer">The optimizer.</param>
    /// <param name="state">The position.</param>
    /// <param name="keep">How many checkpoints to keep.</param>
    /// <returns>The checkpoint's path.</returns>
    public string Save(LanguageModel model, AdamW optimizer, CheckpointState state, int keep)
    {
        var path = Path.Combine(_folder, $"{Prefix}{state.Step:D8}");
        AtomicDirectory.Create(path, folder =>
        {
            ModelFolder.SaveWeights(Path.Combine(folder, ModelFolder.WeightsFile), model);
            SafeTensorsWriter.Write(Path.Combine(folder, OptimizerFile), optimizer.State.SelectMany(entry => new[]
            {
                TensorWeights.Entry($"mean.{entry.Name}", entry.Mean),
                TensorWeights.Entry($"square.{entry.Name}", entry.Square),
            }));
            DurableFile.Write(Path.Combine(folder, StateFile), JsonSerializer.SerializeToUtf8Bytes(state, TrainingJsonContext.Default.CheckpointState));
            DurableFile.Write(Path.Combine(folder, Marker), ReadOnlyMemory<byte>.Empty);
        });
        // A newer one is damaged, or the run would have gone on from there: it counts for nothing and pushes nothing out.
        foreach (var old in Finished.SkipWhile(other => other != path).Skip(keep))
        {
            Directory.Delete(old, recursive: true);
        }

        return path;
    }

    /// <summary>Loads the newest checkpoint that is whole into a model and an optimizer.</summary>
    /// <param name="model">The model, of the run's configuration.</param>
    /// <param name="optimizer">The optimizer.</param>
    /// <param name="skipped">Hears of each damaged checkpoint that is passed over, and why.</param>
    /// <returns>The position, or null if there is no checkpoint.</returns>
    /// <exception cref="UserErrorException">There are checkpoints, and none is whole.</exception>
    public CheckpointState? LoadNewest(LanguageModel model, AdamW optimizer, Action<string> skipped)
    {
        AtomicDirectory.DeletePartial(_folder);
        var finished = Finished;
        var damages = new List<string>();
        foreach (var path in finished)
        {
            try
            {
                var state = Load(path, model, optimizer);
                damages.ForEach(skipped);
                return state;
            }
            catch (Exception e) when (e is UserErrorException or WeightsFormatException or IOException)
            {
                damages.Add($"checkpoint {Path.GetFileName(path)} skipped: {e.Message}");
            }
        }

        return finished.Count == 0
            ? null
            : throw new UserErrorException($"None of the {finished.Count} checkpoints in {_folder} is intact ({damages[0].TrimEnd('.')}); start the run again with --force, or restore a copy.");
    }

    private static CheckpointState Load(string path, LanguageModel model, AdamW optimizer)
    {
        var statePath = Path.Combine(path, StateFile);
        var state = StrictJson.Read(StrictJson.Parse(File.ReadAllText(statePath), statePath), TrainingJsonContext.Default.CheckpointState, statePath);
        using var file = SafeTensorsFile.Open(Path.Combine(path, OptimizerFile));
        using var scope = NewDisposeScope();
        var parameters = model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        var moments = state.ParameterSteps.Select(entry => parameters.TryGetValue(entry.Key, out var parameter)
            ? (Name: entry.Key, Mean: zeros_like(parameter, requires_grad: false), Square: zeros_like(parameter, requires_grad: false), Steps: entry.Value)
            : throw new UserErrorException($"{statePath} names a parameter '{entry.Key}' that the model does not have.")).ToArray();
        TensorWeights.Load(file, [.. moments.SelectMany(entry => new[] { ($"mean.{entry.Name}", entry.Mean), ($"square.{entry.Name}", entry.Square) })]);
        // The optimizer changes last and as a whole, so that a damaged checkpoint leaves nothing behind in it.
        ModelFolder.LoadWeights(Path.Combine(path, ModelFolder.WeightsFile), model);
        optimizer.Restore(moments);
        return state;
    }
}
