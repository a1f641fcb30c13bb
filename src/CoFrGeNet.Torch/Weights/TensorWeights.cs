using CoFrGeNet.Weights;
using static TorchSharp.torch;

namespace CoFrGeNet.Torch;

/// <summary>Moves named float32 tensors between torch and files.</summary>
public static class TensorWeights
{
    /// <summary>Everything that a model's file holds: parameters and buffers by name.</summary>
    /// <param name="module">The model.</param>
    public static IEnumerable<(string Name, Tensor Tensor)> Of(nn.Module module) =>
        module.state_dict().Select(entry => (entry.Key, entry.Value)).OrderBy(entry => entry.Key, StringComparer.Ordinal);

    /// <summary>Describes a tensor for the writer; its values are fetched when they are written.</summary>
    /// <param name="name">Its name in the file.</param>
    /// <param name="tensor">float32, on any device.</param>
    public static TensorEntry Entry(string name, Tensor tensor) => new(name, TensorDType.F32, tensor.shape, stream =>
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var values = tensor.detach().to(ScalarType.Float32).cpu().contiguous();
        stream.Write(values.bytes);
    });

    /// <summary>Copies a file's values into existing tensors of the same names and shapes.</summary>
    /// <param name="file">The file.</param>
    /// <param name="targets">Where the values go; each must be in the file, and the file may hold nothing else.</param>
    /// <exception cref="UserErrorException">A tensor is missing, superfluous or of another shape; the message names it.</exception>
    public static void Load(TensorSource file, IReadOnlyCollection<(string Name, Tensor Tensor)> targets)
    {
        CheckFit(file, targets);
        using var quiet = no_grad();
        foreach (var (name, target) in targets)
        {
            using var scope = NewDisposeScope();
            target.copy_(Read(file, name));
        }
    }

    /// <summary>Reads one tensor as float32 on the CPU.</summary>
    /// <param name="file">The file.</param>
    /// <param name="name">The tensor's name.</param>
    public static Tensor Read(TensorSource file, string name)
    {
        var info = file[name];
        var values = new float[info.ElementCount];
        file.ReadSingles(name, values);
        return tensor(values, info.Shape);
    }

    internal static void CheckFit(TensorSource file, IReadOnlyCollection<(string Name, Tensor Tensor)> targets)
    {
        foreach (var (name, target) in targets)
        {
            if (!file.TryGet(name, out var info))
            {
                throw new UserErrorException($"{file.Path} has no tensor '{name}', which the configuration needs; are config.json and the weights from the same model?");
            }

            if (!info.Shape.AsSpan().SequenceEqual(target.shape))
            {
                throw new UserErrorException(
                    $"{file.Path}: tensor '{name}' has shape [{string.Join(", ", info.Shape)}], the configuration needs [{string.Join(", ", target.shape)}]; use the config.json that was saved with these weights.");
            }
        }

        var known = targets.Select(target => target.Name).ToHashSet(StringComparer.Ordinal);
        if (file.Names.FirstOrDefault(name => !known.Contains(name)) is { } stranger)
        {
            throw new UserErrorException($"{file.Path} holds a tensor '{stranger}' that the configuration does not know; use the config.json that was saved with these weights.");
        }
    }
}
