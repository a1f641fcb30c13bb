using System.Globalization;
using System.Text.Json;
using CoFrGeNet.Configuration;
using CoFrGeNet.Storage;
using CoFrGeNet.Torch;
using CoFrGeNet.Weights;
using static TorchSharp.torch;

namespace CoFrGeNet.Training;

/// <summary>
/// The checkpoints of a run: <c>checkpoints/step-NNNNNNNN/</c> with weights, optimizer state and position. A checkpoint is written aside,
/// flushed and renamed, and holds the checksums of its files in its marker <c>DONE</c>, which is written last.
/// </summary>
public sealed class CheckpointFolder
{
    private const string Prefix = "step-";
    private const string OptimizerFile = "optimizer.safetensors";
    private const string StateFile = "state.json";

    private static readonly string[] Files = [ModelFolder.WeightsFile, OptimizerFile, StateFile];

    private readonly string _folder;

    /// <summary>Names the checkpoints of a run.</summary>
    /// <param name="runFolder">The run's folder.</param>
    public CheckpointFolder(string runFolder) => _folder = Path.Combine(runFolder, "checkpoints");

    /// <summary>Finished checkpoints, newest first.</summary>
    public IReadOnlyList<string> Finished => [.. All.Where(path => File.Exists(Path.Combine(path, CheckpointManifest.FileName)))];

    // Also those without a marker, which are named when a resume passes over them. By number, since the ninth digit may come.
    private IEnumerable<string> All => !Directory.Exists(_folder)
        ? []
        : Directory.GetDirectories(_folder, Prefix + "*").Where(path => StepOf(path) is not null).OrderByDescending(StepOf);

    /// <summary>The step of a checkpoint, from its name; null for another folder.</summary>
    /// <param name="path">The checkpoint's folder.</param>
    public static int? StepOf(string path) =>
        Path.GetFileName(path) is var name
        && name.StartsWith(Prefix, StringComparison.Ordinal)
        && int.TryParse(name.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var step) ? step : null;

    /// <summary>Writes a checkpoint and deletes those that the rotation no longer keeps.</summary>
    /// <param name="model">The model.</param>
    /// <param name="optimizer">The optimizer.</param>
    /// <param name="state">The position.</param>
    /// <param name="rotation">Which checkpoints are kept.</param>
    /// <returns>The checkpoint's path.</returns>
    public string Save(LanguageModel model, AdamW optimizer, CheckpointState state, CheckpointRotation rotation) => Save(model, Entries(optimizer.State), state, rotation);

    /// <summary>Writes a checkpoint whose optimizer state is fetched while it is written, and deletes those that the rotation no longer keeps.</summary>
    /// <param name="model">The model.</param>
    /// <param name="moments">The optimizer's state, as <see cref="Entries"/> names it.</param>
    /// <param name="state">The position.</param>
    /// <param name="rotation">Which checkpoints are kept.</param>
    /// <returns>The checkpoint's path.</returns>
    internal string Save(LanguageModel model, IEnumerable<TensorEntry> moments, CheckpointState state, CheckpointRotation rotation)
    {
        var path = Path.Combine(_folder, $"{Prefix}{state.Step:D8}");
        AtomicDirectory.Create(path, folder =>
        {
            ModelFolder.SaveWeights(Path.Combine(folder, ModelFolder.WeightsFile), model);
            SafeTensorsWriter.Write(Path.Combine(folder, OptimizerFile), moments);
            DurableFile.Write(Path.Combine(folder, StateFile), JsonSerializer.SerializeToUtf8Bytes(state, TrainingJsonContext.Default.CheckpointState));
            CheckpointManifest.Write(folder, Files);
        });
        // A newer one is damaged, or the run would have gone on from there: it counts for nothing and pushes nothing out.
        foreach (var old in Finished.SkipWhile(other => other != path).Skip(rotation.Newest).Where(old => !rotation.Keeps(StepOf(old)!.Value, state.Best?.Step)))
        {
            AtomicDirectory.Delete(old);
        }

        return path;
    }

    /// <summary>
    /// Loads the newest checkpoint that is whole into a model and an optimizer. Both change only when everything of a checkpoint has been
    /// read and has been found right.
    /// </summary>
    /// <param name="model">The model, of the run's configuration.</param>
    /// <param name="optimizer">The optimizer.</param>
    /// <param name="skipped">Hears of each damaged checkpoint that is passed over, and why.</param>
    /// <param name="check">Refuses a state that does not belong to this run by throwing; nothing is loaded then, and no older one is tried.</param>
    /// <returns>The position, or null if there is no checkpoint.</returns>
    /// <exception cref="UserErrorException">There are checkpoints, and none is whole.</exception>
    public CheckpointState? LoadNewest(LanguageModel model, AdamW optimizer, Action<string> skipped, Action<CheckpointState>? check = null) =>
        LoadNewest(model, optimizer.Restore, skipped, check);

    /// <summary>As the other one, for an optimizer that takes over the state by itself.</summary>
    /// <param name="model">The model, of the run's configuration.</param>
    /// <param name="restore">Takes the state of whole parameters.</param>
    /// <param name="skipped">Hears of each damaged checkpoint that is passed over, and why.</param>
    /// <param name="check">Refuses a state that does not belong to this run by throwing.</param>
    internal CheckpointState? LoadNewest(
        LanguageModel model, Action<IReadOnlyList<(string Name, Tensor Mean, Tensor Square, long Steps)>> restore, Action<string> skipped, Action<CheckpointState>? check)
    {
        if (AtomicDirectory.DeletePartial(_folder) is > 0 and var count)
        {
            skipped($"{count} half-written checkpoint{(count == 1 ? string.Empty : "s")} cleared away");
        }

        var all = All.ToArray();
        var damages = new List<string>();
        foreach (var path in all)
        {
            using var scope = NewDisposeScope();
            Content content;
            try
            {
                content = Read(path, model);
            }
            catch (Exception e) when (e is UserErrorException or WeightsFormatException or IOException or UnauthorizedAccessException)
            {
                damages.Add($"checkpoint {Path.GetFileName(path)} skipped: {e.Message}");
                continue;
            }

            check?.Invoke(content.State);
            damages.ForEach(skipped);
            content.Apply(model, restore);
            return content.State;
        }

        return all.Length == 0
            ? null
            : throw new UserErrorException($"None of the {all.Length} checkpoints in {_folder} is intact ({string.Join("; ", damages.Select(damage => damage.TrimEnd('.')))}); start the run again with --force, or restore a copy.");
    }

    /// <summary>The names of the moments in the file.</summary>
    internal static IEnumerable<TensorEntry> Entries(IEnumerable<(string Name, Tensor Mean, Tensor Square, long Steps)> state) => state.SelectMany(entry => new[]
    {
        TensorWeights.Entry(MeanName(entry.Name), entry.Mean),
        TensorWeights.Entry(SquareName(entry.Name), entry.Square),
    });

    /// <summary>What the mean of a parameter's gradients is called.</summary>
    internal static string MeanName(string parameter) => $"mean.{parameter}";

    /// <summary>What the mean of their squares is called.</summary>
    internal static string SquareName(string parameter) => $"square.{parameter}";

    private static Content Read(string path, LanguageModel model)
    {
        CheckpointManifest.Verify(path, Files);
        var statePath = Path.Combine(path, StateFile);
        var state = StrictJson.Read(StrictJson.Parse(File.ReadAllText(statePath), statePath), TrainingJsonContext.Default.CheckpointState, statePath);
        if (state.Step != StepOf(path))
        {
            throw new UserErrorException($"{statePath} is of step {state.Step}, so the checkpoint was renamed.");
        }

        if (state.Model != model.Config)
        {
            throw new UserErrorException($"{statePath} belongs to a model of another configuration.");
        }

        var parameters = model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        var moments = state.ParameterSteps.Select(entry => parameters.TryGetValue(entry.Key, out var parameter)
            ? (Name: entry.Key, Mean: zeros_like(parameter, requires_grad: false), Square: zeros_like(parameter, requires_grad: false), Steps: entry.Value)
            : throw new UserErrorException($"{statePath} names a parameter '{entry.Key}' that the model does not have.")).ToArray();
        ReadTensors(Path.Combine(path, OptimizerFile), [.. moments.SelectMany(entry => new[] { (MeanName(entry.Name), entry.Mean), (SquareName(entry.Name), entry.Square) })]);
        (string Name, Tensor Tensor)[] weights = [.. TensorWeights.Of(model).Select(entry => (entry.Name, zeros_like(entry.Tensor, requires_grad: false)))];
        ReadTensors(Path.Combine(path, ModelFolder.WeightsFile), weights);
        return new Content(state, weights, moments);
    }

    private static void ReadTensors(string path, IReadOnlyCollection<(string Name, Tensor Tensor)> targets)
    {
        using var file = SafeTensorsFile.Open(path);
        // Other float types would be widened in silence, and the run would go on from rounded values.
        if (file.Tensors.FirstOrDefault(info => info.DType != TensorDType.F32) is { } other)
        {
            throw new UserErrorException($"{path}: tensor '{other.Name}' is {other.DType}; a checkpoint holds {TensorDType.F32}.");
        }

        TensorWeights.Load(file, targets);
    }

    private sealed record Content(
        CheckpointState State,
        IReadOnlyList<(string Name, Tensor Tensor)> Weights,
        IReadOnlyList<(string Name, Tensor Mean, Tensor Square, long Steps)> Moments)
    {
        public void Apply(LanguageModel model, Action<IReadOnlyList<(string Name, Tensor Mean, Tensor Square, long Steps)>> restore)
        {
            using (no_grad())
            {
                foreach (var (target, source) in TensorWeights.Of(model).Zip(Weights))
                {
                    target.Tensor.copy_(source.Tensor);
                }
            }

            restore(Moments);
        }
    }
}
